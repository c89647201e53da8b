/** Temporary. */
import { runSeed } from "./run-seed.ts"
const args = process.argv.slice(2)
const from = Number(args[0] ?? 1)
const count = Number(args[1] ?? 1)
const trace = args[2] === "trace"
let sim = 0
let events = 0
const t0 = performance.now()
let failed = 0
for (let seed = from; seed < from + count; seed++) {
  const t = performance.now()
  const r = runSeed({ seed, ...(trace ? { onLine: (l: string) => console.log(l) } : {}) })
  sim += r.simulatedMs
  events += r.events
  if (r.violation) {
    failed++
    console.log(
      `seed ${seed} FAILED in ${r.phase} at ${r.simulatedMs.toFixed(0)}: ${r.violation.message} [${[...r.swarm.faults].join(",")}]`,
    )
    if (!trace && count === 1) console.log(r.lastLines.slice(-60).join("\n"))
  } else if (count <= 20)
    console.log(
      `seed ${seed} ok ${(performance.now() - t).toFixed(0)} ms, sim ${(r.simulatedMs / 1000).toFixed(0)} s, events ${r.events}, commands ${r.commands}, messages ${r.messages}, deliveries ${r.deliveries}, terms ${r.terms}, faults ${r.faults}, frames ${r.frames} hash ${r.traceHash}`,
    )
}
const s = (performance.now() - t0) / 1000
console.log(
  `${count} seeds, ${failed} failed, ${(sim / 3.6e6).toFixed(2)} h in ${s.toFixed(1)} s: ${(sim / 1000 / s).toFixed(0)}x, ${(events / s / 1000).toFixed(0)} k events/s`,
)
