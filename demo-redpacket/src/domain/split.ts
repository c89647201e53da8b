/**
 * Splitting a red packet into random shares. Whole fen only; whoever calls brings the chance.
 */
import type { Random } from "./random.ts"

/** The most that one share may hold, fen. Source: WeChat's rule, 200 CNY. */
export const SHARE_FEN_MAX = 20_000

/**
 * Splits a packet: each share is drawn between 1 fen and twice the mean of what is left, the last one takes the rest.
 * So each place has the same mean, and later ones a wider spread.
 *
 * @param totalFen - `shareCount` to `shareCount` * 20,000.
 * @returns the shares in the order of opening; their sum is `totalFen`, each is 1 to 20,000.
 * @throws RangeError when the amount cannot be split so.
 */
export function splitPacket(totalFen: number, shareCount: number, random: Random): readonly number[] {
  const isPossible = totalFen >= shareCount && totalFen <= shareCount * SHARE_FEN_MAX
  if (!Number.isInteger(totalFen) || !Number.isInteger(shareCount) || shareCount < 1 || !isPossible) {
    throw new RangeError(`${String(totalFen)} fen cannot be split into ${String(shareCount)} shares`)
  }
  const shares: number[] = []
  let restFen = totalFen
  for (let left = shareCount; left > 1; left--) {
    const highest = Math.min(Math.floor((2 * restFen) / left), restFen - (left - 1), SHARE_FEN_MAX)
    // What the others cannot hold, this one must.
    const lowest = Math.max(1, restFen - SHARE_FEN_MAX * (left - 1))
    const share = lowest + random(Math.max(lowest, highest) - lowest + 1)
    shares.push(share)
    restFen -= share
  }
  shares.push(restFen)
  return shares
}
