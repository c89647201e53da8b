/**
 * "Did you mean": the known word that differs least from the given one.
 */

/** The nearest of `known`, when it is near enough to be meant: a third of its letters may differ. Ignores case. */
export function nearest(word: string, known: readonly string[]): string | undefined {
  let best: string | undefined
  let bestDistance = Infinity
  for (const candidate of known) {
    const distance = editDistance(word.toLowerCase(), candidate.toLowerCase())
    if (distance < bestDistance && distance <= Math.max(1, Math.floor(candidate.length / 3))) {
      best = candidate
      bestDistance = distance
    }
  }
  return best
}

/** `; did you mean "nodeId"?`, or nothing. */
export function suggestion(name: string, known: readonly string[]): string {
  const near = nearest(name, known)
  return near === undefined ? "" : `; did you mean "${near}"?`
}

/** Letters to insert, delete, replace or swap with their neighbour. O(n x m). */
function editDistance(a: string, b: string): number {
  let twoBack: number[] = []
  let previous = Array.from({ length: b.length + 1 }, (_, j) => j)
  for (let i = 1; i <= a.length; i += 1) {
    const row = [i]
    for (let j = 1; j <= b.length; j += 1) {
      const isSame = a[i - 1] === b[j - 1]
      let cost = Math.min(at(previous, j) + 1, at(row, j - 1) + 1, at(previous, j - 1) + (isSame ? 0 : 1))
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1])
        cost = Math.min(cost, at(twoBack, j - 2) + 1)
      row.push(cost)
    }
    twoBack = previous
    previous = row
  }
  return at(previous, b.length)
}

function at(row: readonly number[], index: number): number {
  return row[index] ?? Infinity
}
