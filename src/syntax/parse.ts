import { parse, type ParserOptions, type ParserPlugin } from "@babel/parser";

/** Where a file stops being TypeScript or JavaScript, and why. Lines and columns count from 1. */
export interface Mistake {
  readonly file: string;
  readonly line: number;
  readonly column: number;
  /** `unexpected token, expected ","` */
  readonly message: string;
  /** The file ends there, and something in it is not closed. */
  readonly atEnd: boolean;
}

/**
 * The mistakes that no engine could run past. The parser knows more, mostly rules of TypeScript that the engine takes no notice
 * of as it only strips types: those are no reason to refuse a node that runs.
 */
const FATAL: ReadonlySet<string> = new Set([
  "AwaitNotInAsyncContext",
  "DeclarationMissingInitializer",
  "IllegalBreakContinue",
  "IllegalReturn",
  "InvalidDigit",
  "InvalidEscapeSequence",
  "InvalidLhs",
  "InvalidOrUnexpectedToken",
  "MissingSemicolon",
  "MissingUnicodeEscape",
  "MixingCoalesceWithLogical",
  "NewlineAfterThrow",
  "NoCatchOrFinally",
  "UnexpectedKeyword",
  "UnexpectedToken",
  "UnexpectedTokenUnaryExponentiation",
  "UnterminatedRegExp",
  "UnterminatedString",
  "UnterminatedTemplate",
]);

/** Everything that the engine's Deno accepts beyond what the parser does by itself. */
const SYNTAX: readonly ParserPlugin[] = [
  "decorators",
  "decoratorAutoAccessors",
  "deferredImportEvaluation",
  "sourcePhaseImports",
];

const OPTIONS: ParserOptions = {
  sourceType: "module",
  errorRecovery: true,
  allowUndeclaredExports: true,
  attachComment: false,
};

/** The first mistake of a file; undefined where there is none, or where only running it can tell. */
export function firstMistake(file: string, text: string): Mistake | undefined {
  // A byte order mark is no part of a module.
  const source = text.replace(/^\uFEFF/, "");
  const plugins: ParserPlugin[] = file.endsWith(".ts") ? [...SYNTAX, "typescript"] : [...SYNTAX];
  const mistake = errorsOf(source, { ...OPTIONS, plugins }).find(({ reasonCode }) => FATAL.has(reasonCode));
  if (mistake === undefined) return undefined;
  const { loc, message } = mistake;
  return {
    file,
    line: loc.line,
    column: loc.column + 1,
    message: inWords(message),
    atEnd: loc.index >= source.length,
  };
}

/** To go on after a colon, without the parser's own place, which counts columns from 0. */
function inWords(message: string): string {
  const words = message.replace(/ \(\d+:\d+\)$/, "").replace(/\.$/, "");
  return words.charAt(0).toLowerCase() + words.slice(1);
}

interface ParserError {
  readonly reasonCode: string;
  readonly message: string;
  readonly loc: { readonly line: number; readonly column: number; readonly index: number };
}

/** In the order of the source. */
function errorsOf(source: string, options: ParserOptions): readonly ParserError[] {
  try {
    return parse(source, options).errors.filter(isParserError);
  } catch (error) {
    // Anything else is a limit of the parser, such as its stack's.
    return isParserError(error) ? [error] : [];
  }
}

function isParserError(error: unknown): error is ParserError {
  return error instanceof SyntaxError && "reasonCode" in error && "loc" in error;
}
