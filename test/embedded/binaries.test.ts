import { createHash } from "node:crypto";
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { createServer, type RequestListener, type Server } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { create } from "tar";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type BinarySpec, findBinary, type FindOptions } from "../../src/embedded/binaries.ts";
import { natsBinary } from "../../src/embedded/nats.ts";
import { Unavailable } from "../../src/errors.ts";
import { zipOf } from "../support/zip.ts";

const PROGRAM = "#!/bin/sh\necho 'thing: v9.8.7'\n";

const spec: BinarySpec = {
  name: "thing",
  version: "9.8.7",
  releaseUrl: "http://127.0.0.1:1/never-asked",
  sumsFile: "SHA256SUMS",
  assets: () => ["thing-linux.tar.gz", "thing-linux.zip"],
  goPackage: "example.com/thing/v2",
  remedy: "Install thing.",
};

describe("findBinary", () => {
  let folder: string;
  let server: Server | undefined;
  let asked: string[];

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "tentacular-binaries-"));
    asked = [];
  });
  afterEach(async () => {
    server?.closeAllConnections();
    server?.close();
    server = undefined;
    await rm(folder, { recursive: true, force: true });
  });

  const cacheDir = (): string => join(folder, "cache");
  const find = (options: Partial<FindOptions> = {}, of: BinarySpec = spec) =>
    findBinary(of, { pathEnv: join(folder, "bin"), cacheDir: cacheDir(), fetch: true, ...options });

  async function program(path: string, text = PROGRAM): Promise<string> {
    await mkdir(join(path, ".."), { recursive: true });
    await writeFile(path, text);
    await chmod(path, 0o755);
    return path;
  }

  async function listen(answer: RequestListener): Promise<string> {
    const started = createServer((request, response) => {
      asked.push(request.url ?? "");
      answer(request, response);
    });
    server = started;
    await new Promise<void>((resolve) => started.listen(0, "127.0.0.1", resolve));
    const address = started.address();
    if (address === null || typeof address === "string") throw new Error("no port");
    return `http://127.0.0.1:${address.port}/release`;
  }

  /** Serves files of a release; its list of checksums is right unless it is given too. */
  function release(files: Readonly<Record<string, Buffer | string>>): Promise<string> {
    const sums = Object.entries(files)
      .map(([name, content]) => `${createHash("sha256").update(content).digest("hex")}  ${name}\n`)
      .join("");
    const all: Record<string, Buffer | string> = { SHA256SUMS: sums, ...files };
    return listen((request, response) => {
      const content = all[(request.url ?? "").replace("/release/", "")];
      response.statusCode = content === undefined ? 404 : 200;
      response.end(content);
    });
  }

  async function tarOf(inner: string, text = PROGRAM): Promise<Buffer> {
    const source = join(folder, "source");
    await program(join(source, inner), text);
    await create({ gzip: true, cwd: source, file: join(folder, "made.tar.gz") }, [inner.split("/")[0] ?? ""]);
    return readFile(join(folder, "made.tar.gz"));
  }

  async function refusal(promise: Promise<unknown>): Promise<Unavailable> {
    const error: unknown = await promise.then(
      () => undefined,
      (thrown: unknown) => thrown,
    );
    expect(error).toBeInstanceOf(Unavailable);
    if (!(error instanceof Unavailable)) throw new Error("not refused");
    return error;
  }

  /** What lies in the cache besides empty folders. */
  async function left(): Promise<readonly string[]> {
    const entries = await readdir(cacheDir(), { recursive: true, withFileTypes: true }).catch(() => []);
    return entries.filter((entry) => entry.isFile() || entry.name.startsWith(".")).map(({ name }) => name);
  }

  it("takes the configured program before one on PATH, and that before the cache", async () => {
    const configuredPath = await program(join(folder, "mine/thing"));
    const onPath = await program(join(folder, "bin/thing"));
    expect(await find({ configuredPath })).toEqual({
      path: configuredPath,
      version: "9.8.7",
      source: "configured",
    });
    expect(await find()).toEqual({ path: onPath, version: "9.8.7", source: "path" });
    expect(asked).toEqual([]);
  });

  it("refuses a configured program that does not run, rather than taking another", async () => {
    await program(join(folder, "bin/thing"));
    const error = await refusal(find({ configuredPath: join(folder, "nowhere") }));
    expect(error.message).toContain(join(folder, "nowhere"));
  });

  it("passes over a file on PATH that does not run", async () => {
    await program(join(folder, "broken/thing"), "#!/bin/sh\nexit 3\n");
    const good = await program(join(folder, "bin/thing"));
    expect((await find({ pathEnv: `relative:${join(folder, "broken")}:${join(folder, "bin")}` })).path).toBe(
      good,
    );
  });

  it("fetches the release once, keeps it executable in the cache, and leaves nothing beside it", async () => {
    const releaseUrl = await release({ "thing-linux.tar.gz": await tarOf("thing-v9/thing") });
    const said: string[] = [];
    const found = await find({ releaseUrl, onProgress: (text) => said.push(text) });
    expect(found).toMatchObject({ source: "downloaded", version: "9.8.7" });
    expect((await stat(found.path)).mode & 0o777).toBe(0o755);
    expect(await left()).toEqual(["thing"]);
    expect(said.join("\n")).toContain("downloading thing 9.8.7");

    asked = [];
    expect(await find({ releaseUrl })).toEqual({ ...found, source: "cache" });
    expect(asked).toEqual([]);
  });

  it("fetches a cached program again when it no longer runs", async () => {
    const releaseUrl = await release({ "thing-linux.tar.gz": await tarOf("thing") });
    const { path } = await find({ releaseUrl });
    await writeFile(path, "#!/bin/sh\nexit 1\n");
    expect((await find({ releaseUrl })).source).toBe("downloaded");
  });

  it("unpacks a zip, and takes the asset that the release lists", async () => {
    const releaseUrl = await release({ "thing-linux.zip": zipOf("a/b/thing", Buffer.from(PROGRAM)) });
    expect((await find({ releaseUrl })).source).toBe("downloaded");
    expect(asked).not.toContain("/release/thing-linux.tar.gz");
  });

  it("writes nowhere else, whatever paths the archive holds", async () => {
    const releaseUrl = await release({ "thing-linux.zip": zipOf("../../../thing", Buffer.from(PROGRAM)) });
    const { path } = await find({ releaseUrl }).catch(() => ({ path: "refused" }));
    expect(["refused", join(cacheDir(), "thing/9.8.7/thing")]).toContain(path);
    await expect(stat(join(folder, "thing"))).rejects.toThrow("ENOENT");
    await expect(stat(join(cacheDir(), "../../thing"))).rejects.toThrow("ENOENT");
  });

  it.each([
    {
      what: "a wrong checksum",
      files: async () => ({
        "thing-linux.tar.gz": await tarOf("thing"),
        SHA256SUMS: `${"0".repeat(64)}  thing-linux.tar.gz\n`,
      }),
      says: "does not have the checksum",
    },
    {
      what: "an archive that was cut before it was published",
      files: async () => ({ "thing-linux.tar.gz": (await tarOf("thing")).subarray(0, 60) }),
      says: "thing cannot be had",
    },
    {
      what: "an archive without the program",
      files: async () => ({ "thing-linux.tar.gz": await tarOf("other") }),
      says: "holds no file thing",
    },
    {
      what: "a program that does not run here",
      files: async () => ({ "thing-linux.tar.gz": await tarOf("thing", "#!/no/such/interpreter\n") }),
      says: "does not run on this machine",
    },
    {
      what: "no release for this platform",
      files: async () => ({ other: "x" }),
      says: "lists no thing-linux",
    },
    { what: "a missing release", files: async () => ({ SHA256SUMS: "" }), says: "lists no thing-linux" },
  ])("refuses $what and keeps nothing of it", async ({ files, says }) => {
    const error = await refusal(find({ releaseUrl: await release(await files()) }));
    expect(error.message).toContain(says);
    expect(error.hint).toBe("Install thing.");
    expect(await left()).toEqual([]);
  });

  it("says which address answered 404", async () => {
    const releaseUrl = await listen((_request, response) => {
      response.statusCode = 404;
      response.end();
    });
    const error = await refusal(find({ releaseUrl }));
    expect(error.message).toContain(`${releaseUrl}/SHA256SUMS answered HTTP 404`);
  });

  it.each([
    ["at once", 0],
    ["after a part", 100],
  ])("gives up a server that hangs %s", async (_when, bytes) => {
    const sums = `${"0".repeat(64)}  thing-linux.tar.gz\n`;
    const releaseUrl = await listen((request, response) => {
      if (bytes > 0 && request.url?.endsWith("SHA256SUMS") === true) response.end(sums);
      else if (bytes > 0) response.write(Buffer.alloc(bytes));
    });
    const error = await refusal(find({ releaseUrl, stallMs: 300 }));
    expect(error.reason).toBe("timeout");
    expect(error.message).toContain("sent nothing for 0.3 s");
    expect(await left()).toEqual([]);
  });

  it("refuses a download that is cut off", async () => {
    const sums = `${"0".repeat(64)}  thing-linux.tar.gz\n`;
    const releaseUrl = await listen((request, response) => {
      if (request.url?.endsWith("SHA256SUMS") === true) response.end(sums);
      else {
        response.setHeader("content-length", "1000");
        response.write(Buffer.alloc(100), () => response.destroy());
      }
    });
    const error = await refusal(find({ releaseUrl }));
    expect(error.message).toContain("thing-linux.tar.gz could not be fetched");
    expect(await left()).toEqual([]);
  });

  it("fetches nothing when that is switched off, and says so", async () => {
    const releaseUrl = await release({ "thing-linux.tar.gz": await tarOf("thing") });
    const error = await refusal(find({ releaseUrl, fetch: false }));
    expect(error.message).toBe("thing cannot be had: it is not on PATH; fetching is switched off");
    expect(asked).toEqual([]);
  });

  it("ends at once when the caller gives up", async () => {
    const releaseUrl = await listen(() => {});
    const stop = new AbortController();
    const search = find({ releaseUrl, signal: stop.signal });
    setTimeout(() => stop.abort(new Error("enough")), 50);
    await expect(search).rejects.toThrow("enough");
    expect(await left()).toEqual([]);
  });

  it("builds with Go when the release cannot be fetched", async () => {
    // Stands in for the Go tool: shows what it was asked and leaves a program where it was told.
    await program(
      join(folder, "bin/go"),
      `#!/bin/sh\n/bin/echo "$HOME $@" > ${folder}/asked\n/bin/printf "#!/bin/sh\\necho 9.8.7\\n" > $GOBIN/thing\n`,
    );
    const releaseUrl = await listen((_request, response) => response.writeHead(500).end());
    const found = await find({ releaseUrl, goEnv: { HOME: "/home/of-go" } });
    expect(found).toMatchObject({ source: "built", version: "9.8.7" });
    expect(await readFile(join(folder, "asked"), "utf8")).toBe(
      "/home/of-go install example.com/thing/v2@v9.8.7\n",
    );
  });

  it("names every way it tried", async () => {
    const releaseUrl = await listen((_request, response) => response.writeHead(503).end());
    const error = await refusal(find({ releaseUrl, goEnv: {} }));
    expect(error.message).toMatch(/not on PATH; .*HTTP 503; Go, which could build it, is not on PATH either/);
  });
});

describe("the nats-server release", () => {
  it("has the archive names of its project", () => {
    expect(natsBinary.assets({ os: "linux", arch: "x64" })[0]).toMatch(
      /^nats-server-v\d+\.\d+\.\d+-linux-amd64\.tar\.gz$/,
    );
    expect(natsBinary.assets({ os: "darwin", arch: "arm64" })[0]).toMatch(/-darwin-arm64\.tar\.gz$/);
    expect(natsBinary.assets({ os: "win32", arch: "x64" })[0]).toMatch(/-windows-amd64\.zip$/);
    expect(natsBinary.assets({ os: "sunos", arch: "x64" })).toEqual([]);
  });
});
