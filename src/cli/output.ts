import { type Style, createStyle } from "./style.ts";

/** How a result is printed: for people, or exactly as the server structured it. */
export type OutputFormat = "text" | "json" | "yaml";

export const outputFormats = ["text", "json", "yaml"] as const satisfies readonly OutputFormat[];

/**
 * Where a command writes: data to stdout, everything else to stderr. With `json` and `yaml`, stdout holds one document and
 * stderr nothing but warnings and the error.
 */
export interface Output {
  readonly format: OutputFormat;
  /** Styles for stdout. */
  readonly style: Style;
  /** Styles for stderr. */
  readonly noteStyle: Style;
  /** Characters in a line of stdout; no limit off a terminal, where lines are for programs. */
  readonly width: number;
  /** Is stderr a terminal? Then progress may rewrite its line. */
  readonly live: boolean;
  /** The command's result: the structure itself, or `text` of it for people. */
  result(structured: unknown, text: () => string): Promise<void>;
  /** A sentence for people on stderr; silent with `json` and `yaml`. */
  note(line: string): void;
  /** Like `note`, without a line end. */
  progress(text: string): void;
  /** Always on stderr: what the caller should know in every format. */
  warn(line: string): void;
}

/** Columns of a terminal; some (a container's, `script`'s) say 0 when nobody has told them. */
export function widthOf({ columns }: { readonly columns?: number }): number {
  return columns === undefined || columns < 1 ? 80 : columns;
}

/** Makes the output of one command. `color` is false where the caller's environment refuses colours. */
export function createOutput(format: OutputFormat, color: boolean): Output {
  const noteStyle = createStyle(color && process.stderr.isTTY);
  const quiet = format !== "text";
  return {
    format,
    style: createStyle(color && process.stdout.isTTY),
    noteStyle,
    width: process.stdout.isTTY ? widthOf(process.stdout) : Infinity,
    live: process.stderr.isTTY,
    async result(structured, text) {
      writeOut(ended(await render(format, structured, text)));
    },
    note: (line) => {
      if (!quiet) writeError(`${line}\n`);
    },
    progress: (text) => {
      if (!quiet) writeError(text);
    },
    warn: (line) => writeError(`${noteStyle.yellow("warning:")} ${line}\n`),
  };
}

/** The one way to stdout. */
export function writeOut(text: string): void {
  process.stdout.write(text);
}

/** The one way to stderr within the CLI. */
export function writeError(text: string): void {
  process.stderr.write(text);
}

/** A reader that has seen enough (`tntc list | head -1`) ends the program without complaint. */
export function endQuietlyOnBrokenPipe(): void {
  process.stdout.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code !== "EPIPE") throw error;
    process.exit();
  });
  process.stderr.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code !== "EPIPE") throw error;
  });
}

/** A value as one JSON or YAML document. */
export async function serialise(format: "json" | "yaml", value: unknown): Promise<string> {
  if (format === "json") return JSON.stringify(value, null, 2);
  const { stringify } = await import("yaml");
  return stringify(value, { lineWidth: 0 });
}

async function render(format: OutputFormat, structured: unknown, text: () => string): Promise<string> {
  return format === "text" ? text() : serialise(format, structured);
}

function ended(text: string): string {
  return text === "" || text.endsWith("\n") ? text : `${text}\n`;
}
