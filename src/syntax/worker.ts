import { parentPort, workerData } from "node:worker_threads";
import { firstMistake } from "./parse.ts";

/** Answers the files that it was started with (text by path), with the first mistake of each that has one, and ends. */
const files: unknown = workerData;
if (typeof files === "object" && files !== null)
  parentPort?.postMessage(
    Object.entries(files).flatMap(([path, source]) => firstMistake(path, String(source)) ?? []),
  );
