import { expect, test } from "vitest"
import { createRandom } from "../core/random.ts"
import { ByteSlab } from "./byte-slab.ts"

test("pieces have the length asked for and share no byte", () => {
  const random = createRandom(5)
  const slab = new ByteSlab()
  const pieces: Buffer[] = []
  for (let turn = 0; turn < 400; turn++) {
    const bytes = random.nextInt(8) === 0 ? random.nextInt(600_000) : random.nextInt(9000)
    const piece = slab.take(bytes)
    expect(piece.length).toBe(bytes)
    pieces.push(piece.fill(turn % 251))
  }
  for (const [turn, piece] of pieces.entries()) expect(piece.every((byte) => byte === turn % 251)).toBe(true)
})
