import { execFile } from "node:child_process";
import { constants } from "node:fs";
import { access, chmod, mkdir, mkdtemp, rename, rm, stat } from "node:fs/promises";
import { basename, delimiter, isAbsolute, join } from "node:path";
import { promisify } from "node:util";
import { toTentacularError, Unavailable, type UnavailableReason } from "../errors.ts";
import { extractFile } from "./archive.ts";
import { download, downloadText } from "./download.ts";

/** A server program that is one executable file, and where its official release lies. */
export interface BinarySpec {
  /** File name of the executable, without `.exe`. */
  readonly name: string;
  /** Pinned: what is fetched when there is none. */
  readonly version: string;
  /** Folder of the release; asset names and the list of checksums are appended. */
  readonly releaseUrl: string;
  /** `sha256sum` output that covers every asset of the release. */
  readonly sumsFile: string;
  /** Archives (`.tar.gz`, `.zip`) for a platform, the preferred first; the first that the release lists is taken. */
  assets(platform: Platform): readonly string[];
  /** Go package that builds the same program: `example.com/server/v2`. */
  readonly goPackage?: string;
  /** What a person does when it cannot be had: where to get it. */
  readonly remedy: string;
}

export interface Platform {
  readonly os: string;
  readonly arch: string;
}

export interface FindOptions {
  /** Used instead of looking; not being there is an error. */
  readonly configuredPath?: string;
  readonly pathEnv: string;
  /** Fetched programs are kept below it, by name and version. */
  readonly cacheDir: string;
  /** May it be fetched? */
  readonly fetch: boolean;
  /** Another folder than the official one, for a mirror. */
  readonly releaseUrl?: string;
  /** Environment of `go` besides PATH: HOME, GOPROXY …. */
  readonly goEnv?: Readonly<Record<string, string | undefined>>;
  readonly platform?: Platform;
  /** A download is given up when nothing arrives for this long; default 20 s. */
  readonly stallMs?: number;
  readonly signal?: AbortSignal;
  readonly onProgress?: (message: string) => void;
}

export interface FoundBinary {
  readonly path: string;
  /** As it prints it itself. */
  readonly version: string;
  readonly source: "configured" | "path" | "cache" | "downloaded" | "built";
}

/**
 * Finds a server program: the configured path, PATH, the cache; then the official release for this platform, its
 * checksum verified, or a build with Go. Only a program that runs is returned. Throws Unavailable that says all
 * that was tried and what to do.
 */
export async function findBinary(spec: BinarySpec, options: FindOptions): Promise<FoundBinary> {
  const { configuredPath, pathEnv, cacheDir } = options;
  if (configuredPath !== undefined) {
    const found = await runnable(configuredPath);
    if (found !== undefined) return { ...found, source: "configured" };
    throw new Unavailable(`${spec.name}: the configured ${configuredPath} is no program that runs`, {
      reason: "failed",
      hint: `Correct the path, or unset it so that ${spec.name} is looked for.`,
    });
  }
  const platform = options.platform ?? { os: process.platform, arch: process.arch };
  const executable = platform.os === "win32" ? `${spec.name}.exe` : spec.name;
  for (const folder of pathEnv.split(delimiter)) {
    const found = isAbsolute(folder) ? await runnable(join(folder, executable)) : undefined;
    if (found !== undefined) return { ...found, source: "path" };
  }
  const target = join(cacheDir, spec.name, spec.version, executable);
  const cached = await runnable(target);
  if (cached !== undefined) return { ...cached, source: "cache" };

  const tried = ["it is not on PATH"];
  let reason: UnavailableReason = "failed";
  if (!options.fetch) tried.push("fetching is switched off");
  else {
    const job = { spec, options, platform, executable, target };
    const release = ["downloaded", fetchRelease] as const;
    const build = ["built", buildWithGo] as const;
    for (const [source, fetcher] of spec.goPackage === undefined ? [release] : [release, build]) {
      try {
        return { ...(await install(job, fetcher)), source };
      } catch (error) {
        options.signal?.throwIfAborted();
        const failure = toTentacularError(error, `getting ${spec.name}`);
        if (source === "downloaded" && failure instanceof Unavailable) reason = failure.reason;
        tried.push(failure.message);
      }
    }
  }
  throw new Unavailable(`${spec.name} cannot be had: ${tried.join("; ")}`, { reason, hint: spec.remedy });
}

interface Job {
  readonly spec: BinarySpec;
  readonly options: FindOptions;
  readonly platform: Platform;
  readonly executable: string;
  readonly target: string;
}

/** Lets `fetcher` make the program in a folder of its own, tries it, and moves it into the cache in one step. */
async function install(job: Job, fetcher: (job: Job, folder: string) => Promise<string>): Promise<Program> {
  const { spec, options, target } = job;
  await mkdir(join(target, ".."), { recursive: true });
  const folder = await mkdtemp(join(options.cacheDir, spec.name, ".fetching-"));
  try {
    const program = await fetcher(job, folder);
    await chmod(program, 0o755);
    const found = await runnable(program);
    if (found === undefined)
      throw failed(`the ${spec.name} that was fetched does not run on this machine`, spec);
    await rename(program, target);
    return { ...found, path: target };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function fetchRelease(job: Job, folder: string): Promise<string> {
  const { spec, options, platform, executable } = job;
  const base = options.releaseUrl ?? spec.releaseUrl;
  const url = (file: string): string => `${base.replace(/\/$/, "")}/${file}`;
  const limits = { stallMs: options.stallMs ?? 20_000, signal: options.signal };
  const candidates = spec.assets(platform);
  if (candidates.length === 0)
    throw failed(`there is no release of ${spec.name} for ${platform.os} on ${platform.arch}`, spec);

  options.onProgress?.(`looking for ${spec.name} ${spec.version} at ${url("")}`);
  const sums = parseSums(await downloadText(url(spec.sumsFile), limits));
  const asset = candidates.find((name) => sums.has(name));
  if (asset === undefined) throw failed(`${url(spec.sumsFile)} lists no ${candidates.join(" or ")}`, spec);

  const archive = join(folder, asset);
  let shown = -1;
  const actual = await download(url(asset), archive, {
    ...limits,
    onBytes: (received, total) => {
      const tenth =
        total === undefined ? Math.floor(received / 10_000_000) : Math.floor((10 * received) / total);
      if (tenth === shown) return;
      shown = tenth;
      const of = total === undefined ? "" : ` of ${megabytes(total)}`;
      options.onProgress?.(`downloading ${spec.name} ${spec.version}: ${megabytes(received)}${of}`);
    },
  });
  if (actual !== sums.get(asset))
    throw failed(`${url(asset)} does not have the checksum that its release lists; it was thrown away`, spec);
  const program = join(folder, "extracted", executable);
  await mkdir(join(folder, "extracted"));
  if (!(await extractFile(archive, executable, program)))
    throw failed(`${url(asset)} holds no file ${executable}`, spec);
  return program;
}

async function buildWithGo(job: Job, folder: string): Promise<string> {
  const { spec, options, executable } = job;
  const go = await firstExecutable(options.pathEnv, job.platform.os === "win32" ? "go.exe" : "go");
  if (go === undefined) throw failed("Go, which could build it, is not on PATH either", spec);
  const what = `${spec.goPackage ?? ""}@v${spec.version}`;
  options.onProgress?.(`building ${spec.name} ${spec.version} with Go; this takes a minute`);
  try {
    await promisify(execFile)(go, ["install", what], {
      cwd: folder,
      env: { ...options.goEnv, PATH: options.pathEnv, GOBIN: folder },
      timeout: 600_000,
      signal: options.signal,
    });
  } catch (error) {
    throw new Unavailable(`"go install ${what}" failed`, {
      reason: "failed",
      hint: spec.remedy,
      cause: error,
    });
  }
  return join(folder, executable);
}

/** Reads `sha256sum` output: file name -> hex digest. */
function parseSums(text: string): ReadonlyMap<string, string> {
  const lines = [...text.matchAll(/^([0-9a-fA-F]{64})\s+\*?(\S+)\s*$/gm)];
  return new Map(lines.map(([, digest = "", file = ""]) => [basename(file), digest.toLowerCase()]));
}

interface Program {
  readonly path: string;
  readonly version: string;
}

/** The program with the version it prints, when it is one that runs. */
async function runnable(path: string): Promise<Program | undefined> {
  if (!(await isExecutable(path))) return undefined;
  try {
    const { stdout, stderr } = await promisify(execFile)(path, ["--version"], { timeout: 10_000, env: {} });
    const version = /\d+\.\d+\.\d+(?:-[\w.]+)?/.exec(`${stdout}\n${stderr}`)?.[0];
    return version === undefined ? undefined : { path, version };
  } catch {
    return undefined;
  }
}

async function firstExecutable(pathEnv: string, name: string): Promise<string | undefined> {
  for (const folder of pathEnv.split(delimiter))
    if (isAbsolute(folder) && (await isExecutable(join(folder, name)))) return join(folder, name);
  return undefined;
}

async function isExecutable(path: string): Promise<boolean> {
  try {
    await access(path, constants.X_OK);
    return (await stat(path)).isFile();
  } catch {
    return false;
  }
}

function failed(message: string, spec: BinarySpec): Unavailable {
  return new Unavailable(message, { reason: "failed", hint: spec.remedy });
}

function megabytes(bytes: number): string {
  return `${(bytes / 1_000_000).toFixed(1)} MB`;
}
