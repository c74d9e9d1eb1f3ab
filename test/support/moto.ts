import { execFile } from "node:child_process";
import { access, mkdir, mkdtemp, rename, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import {
  CreateAccessKeyCommand,
  CreateUserCommand,
  IAMClient,
  PutUserPolicyCommand,
} from "@aws-sdk/client-iam";
import { startChild } from "../../src/embedded/child.ts";
import { freePort } from "../../src/embedded/port.ts";
import { loadClientConfig } from "../../src/environment.ts";
import type { Service } from "./services.ts";

/** The version whose enforcement the tests know. */
const VERSION = "5.2.5";

export interface MotoServer {
  readonly endpoint: string;
  /** Keys of a user that may do everything. */
  readonly accessKey: string;
  readonly secretKey: string;
}

/**
 * Starts moto, a stand-in for AWS, with its IAM enforcement on. It is a second, independent implementation of S3 with
 * IAM. It enforces actions and resources of policies; it does not enforce the condition `s3:prefix`, so whoever may list
 * a bucket sees all of it, nor does it check the source of a copy.
 */
export async function startMoto(): Promise<{ server: Service<MotoServer>; stop: () => Promise<void> }> {
  const required = (process.env.TENTACULAR_TEST_REQUIRE ?? "").split(",").includes("moto");
  try {
    return await start();
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    if (required) throw new Error(`required test service moto is missing: ${reason}`, { cause: error });
    return { server: { available: false, reason }, stop: async () => {} };
  }
}

async function start(): Promise<{ server: { available: true } & MotoServer; stop: () => Promise<void> }> {
  const python = await pythonWithMoto();
  const port = await freePort();
  const endpoint = `http://127.0.0.1:${port}`;
  const folder = await mkdtemp(join(tmpdir(), "tentacular-test-moto-"));
  const child = await startChild({
    name: "moto",
    command: python,
    args: ["-m", "moto.server", "-H", "127.0.0.1", "-p", String(port)],
    env: { HOME: folder },
    cwd: folder,
    logFile: join(folder, "moto.log"),
    ready: () =>
      fetch(`${endpoint}/moto-api/data.json`, { signal: AbortSignal.timeout(1_000) }).then(
        ({ ok }) => ok,
        () => false,
      ),
    readyWithinMs: 30_000,
  });
  const keys = await makeAdministrator(endpoint);
  // From now on every request needs known keys and a policy that allows it.
  await fetch(`${endpoint}/moto-api/reset-auth`, { method: "POST", body: "0" });
  return {
    server: { available: true, endpoint, ...keys },
    stop: async () => {
      await child.stop();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** Python of a virtual environment with moto, made once in the cache folder and used again. */
async function pythonWithMoto(): Promise<string> {
  const { cacheDir } = loadClientConfig();
  const home = join(cacheDir, `moto-${VERSION}`);
  const python = join(home, "bin", "python");
  const there = await access(python).then(
    () => true,
    () => false,
  );
  if (there) return python;
  await mkdir(cacheDir, { recursive: true });
  const making = await mkdtemp(`${home}.`);
  const run = promisify(execFile);
  try {
    await run("python3", ["-m", "venv", making]);
    const pip = ["-m", "pip", "install", "--quiet", "--retries", "1", "--timeout", "10"];
    await run(join(making, "bin", "python"), [...pip, `moto[server,s3,iam]==${VERSION}`], {
      timeout: 180_000,
    });
    await rename(making, home);
  } catch (error) {
    // Another test file may have been faster.
    if (
      await access(python).then(
        () => true,
        () => false,
      )
    )
      return python;
    throw new Error("moto needs python3 with venv, and PyPI or its cache", { cause: error });
  } finally {
    await rm(making, { recursive: true, force: true });
  }
  return python;
}

async function makeAdministrator(endpoint: string): Promise<{ accessKey: string; secretKey: string }> {
  const iam = new IAMClient({
    endpoint,
    region: "us-east-1",
    credentials: { accessKeyId: "before", secretAccessKey: "enforcement" },
  });
  const UserName = "administrator";
  const Statement = [{ Effect: "Allow", Action: "*", Resource: "*" }];
  await iam.send(new CreateUserCommand({ UserName }));
  await iam.send(
    new PutUserPolicyCommand({
      UserName,
      PolicyName: "everything",
      PolicyDocument: JSON.stringify({ Version: "2012-10-17", Statement }),
    }),
  );
  const { AccessKey: key } = await iam.send(new CreateAccessKeyCommand({ UserName }));
  return { accessKey: key?.AccessKeyId ?? "", secretKey: key?.SecretAccessKey ?? "" };
}
