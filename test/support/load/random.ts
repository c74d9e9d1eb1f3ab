/** Numbers from 0 up to 1 that are the same in each run for the same seed (mulberry32). */
export function createRandom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

/** One of the keys, each as often as its weight says. */
export function pick<Key extends string>(weights: Readonly<Record<Key, number>>, random: () => number): Key {
  const entries = typedEntries(weights);
  let left = random() * entries.reduce((sum, [, weight]) => sum + weight, 0);
  for (const [key, weight] of entries) {
    left -= weight;
    if (left < 0) return key;
  }
  throw new Error("nothing to pick from");
}

function typedEntries<Key extends string>(weights: Readonly<Record<Key, number>>): [Key, number][] {
  const isKey = (key: string): key is Key => Object.hasOwn(weights, key);
  return Object.keys(weights)
    .filter(isKey)
    .map((key) => [key, weights[key]]);
}
