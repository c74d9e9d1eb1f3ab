/**
 * The ConfigMap key for a file's path: keys hold only letters, digits, `-`, `.` and `_`. Every other character, and `_`
 * itself, becomes `_` and two hex digits a byte, so no two paths share a key.
 *
 * @example configMapKey("nodes/store_all.ts") // "nodes_2Fstore_5Fall.ts"
 */
export function configMapKey(path: string): string {
  return Array.from(Buffer.from(path), (byte) => {
    const character = String.fromCharCode(byte);
    return /[A-Za-z0-9.-]/.test(character)
      ? character
      : `_${byte.toString(16).toUpperCase().padStart(2, "0")}`;
  }).join("");
}

/** The path whose key this is. */
export function pathOfKey(key: string): string {
  const bytes = key.replaceAll(/_([0-9A-F]{2})/g, (_match, hex: string) =>
    String.fromCharCode(Number.parseInt(hex, 16)),
  );
  return Buffer.from(bytes, "latin1").toString("utf8");
}
