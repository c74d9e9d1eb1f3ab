/** Colours by meaning of place; each is the identity where colours are off. */
export interface Style {
  readonly bold: (text: string) => string;
  readonly dim: (text: string) => string;
  readonly red: (text: string) => string;
  readonly green: (text: string) => string;
  readonly yellow: (text: string) => string;
  readonly cyan: (text: string) => string;
}

/** Styles that colour, or leave text alone. */
export function createStyle(enabled: boolean): Style {
  const style = (format: keyof Style) => (text: string) =>
    enabled && text !== "" ? styled(format, text) : text;
  return {
    bold: style("bold"),
    dim: style("dim"),
    red: style("red"),
    green: style("green"),
    yellow: style("yellow"),
    cyan: style("cyan"),
  };
}

/** `text` in that style, whatever the stream. An import of `node:util` would load all that it offers, at each start. */
export function styled(format: keyof Style, text: string): string {
  return process.getBuiltinModule("node:util").styleText(format, text, { validateStream: false });
}
