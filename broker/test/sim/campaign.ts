/** The sum over many seeds: what was run, what was hit, what broke; as text, JSON and Markdown. */
import type { SeedResult } from "./run-seed.ts"

export interface Failure {
  readonly seed: number
  readonly phase: string
  readonly rule: string
  readonly message: string
}

export class Campaign {
  readonly failures: Failure[] = []
  readonly marks = new Map<string, number>()
  readonly calls = new Map<string, number>()
  readonly faultSeeds = new Map<string, number>()
  readonly swarmFaults = new Map<string, number>()
  simulatedMs = 0
  #seeds = 0
  #firstSeed = 0
  #lastSeed = 0
  #events = 0
  #commands = 0
  #entries = 0
  #messages = 0
  #deliveries = 0
  #checks = 0
  #terms = 0
  #faults = 0
  #frames = 0
  #quietSeeds = 0
  #twice = 0
  readonly #startedAtSeconds = process.uptime()
  readonly #cpuAtStart = process.cpuUsage()

  /** @param again the same seed run a second time: it has to leave the same trace. */
  add(result: SeedResult, again?: SeedResult): void {
    if (this.#seeds === 0) this.#firstSeed = result.seed
    this.#lastSeed = result.seed
    this.#seeds++
    this.simulatedMs += result.simulatedMs
    this.#events += result.events
    this.#commands += result.commands
    this.#entries += result.entries
    this.#messages += result.messages
    this.#deliveries += result.deliveries
    this.#checks += result.checks
    this.#terms += result.terms
    this.#faults += result.faults
    this.#frames += result.frames
    if (result.swarm.faults.size === 0) this.#quietSeeds++
    for (const fault of result.swarm.faults) this.faultSeeds.set(fault, (this.faultSeeds.get(fault) ?? 0) + 1)
    for (const [call, count] of result.calls) this.calls.set(call, (this.calls.get(call) ?? 0) + count)
    result.world.marks.addTo(this.marks)
    if (result.violation !== undefined) {
      this.failures.push({
        seed: result.seed,
        phase: result.phase,
        rule: result.violation.rule,
        message: result.violation.message,
      })
    }
    if (again === undefined) return
    this.#twice++
    if (again.traceHash === result.traceHash) return
    const message = `seed ${String(result.seed)}: ${result.traceHash}, then ${again.traceHash}`
    this.failures.push({ seed: result.seed, phase: "twice", rule: "equal seeds leave equal traces", message })
  }

  get seedCount(): number {
    return this.#seeds
  }

  /** Calls of clients that were answered "ok", by use case. */
  okCount(useCase: string): number {
    return this.calls.get(`${useCase} ok`) ?? 0
  }

  describeSeed(result: SeedResult): Record<string, unknown> {
    return {
      seed: result.seed,
      traceHash: result.traceHash,
      violation: result.violation?.message ?? null,
      phase: result.phase,
      faults: [...result.swarm.faults],
      simulatedMs: Math.round(result.simulatedMs),
      events: result.events,
      commands: result.commands,
      messages: result.messages,
      deliveries: result.deliveries,
      terms: result.terms,
    }
  }

  describe(): Record<string, unknown> {
    return {
      seeds: this.#seeds,
      simulatedHours: this.simulatedMs / 3_600_000,
      seconds: process.uptime() - this.#startedAtSeconds,
      cpuSeconds: this.#cpuSeconds(),
      failures: this.failures,
      marks: Object.fromEntries([...this.marks].sort()),
      calls: Object.fromEntries([...this.calls].sort()),
    }
  }

  text(): string {
    const seconds = process.uptime() - this.#startedAtSeconds
    const hours = this.simulatedMs / 3_600_000
    const broken = this.failures.length === 0 ? "no rule broken" : `${String(this.failures.length)} BROKEN`
    const speed = (this.simulatedMs / 1000 / this.#cpuSeconds()).toFixed(0)
    return [
      `${String(this.#seeds)} ${this.#seeds === 1 ? "seed" : "seeds"}, ${hours.toFixed(2)} simulated hours, ${broken}`,
      `${seconds.toFixed(1)} s, ${this.#cpuSeconds().toFixed(1)} s of CPU: ${speed} x real time, ${(this.#events / this.#cpuSeconds() / 1000).toFixed(0)} k events/s`,
      `${count(this.#commands)} commands in ${count(this.#entries)} entries, ${count(this.#messages)} messages, ${count(this.#deliveries)} deliveries, ${count(this.#faults)} faults, ${count(this.#terms)} leaders, ${count(this.#checks)} checks after steps, ${String(this.marks.size)} marks`,
      ...this.failures.slice(0, 50).map(({ seed, phase, message }) => `seed ${String(seed)} in ${phase}: ${message}`),
    ].join("\n")
  }

  markdown(): string {
    const row = ([name, value]: readonly [string, number]): string => `| ${name} | ${count(value)} |`
    const byName = (map: ReadonlyMap<string, number>): string[] =>
      [...map].sort(([a], [b]) => (a < b ? -1 : 1)).map(row)
    const figures: [string, number][] = [
      ["seeds", this.#seeds],
      ["of these without any fault", this.#quietSeeds],
      ["of these run twice, with equal traces demanded", this.#twice],
      ["events", this.#events],
      ["commands applied", this.#commands],
      ["log entries committed", this.#entries],
      ["messages stored", this.#messages],
      ["deliveries", this.#deliveries],
      ["frames between nodes", this.#frames],
      ["faults caused", this.#faults],
      ["leaders elected", this.#terms],
      ["checks of the invariants", this.#checks],
    ]
    return [
      "# Simulation campaign",
      "",
      `Seeds ${String(this.#firstSeed)} to ${String(this.#lastSeed)}: **${(this.simulatedMs / 3_600_000).toFixed(1)} simulated hours, ${String(this.failures.length)} rules broken.**`,
      `Written by \`npm run sim -- --from ${String(this.#firstSeed)} --seeds ${String(this.#seeds)} --summary docs/simulation-campaign.md\``,
      `in ${this.#cpuSeconds().toFixed(0)} s of CPU. What the words mean: [simulation.md](simulation.md).`,
      "",
      "| figure | count |",
      "| --- | ---: |",
      ...figures.map(row),
      "",
      ...(this.failures.length === 0
        ? []
        : [
            "## Broken rules",
            "",
            ...this.failures.map(({ seed, phase, message }) => `- seed ${String(seed)} in ${phase}: ${message}`),
            "",
          ]),
      "## Seeds with each class of fault",
      "",
      "| fault | seeds |",
      "| --- | ---: |",
      ...byName(this.faultSeeds),
      "",
      "## What clients were told",
      "",
      "| call and answer | count |",
      "| --- | ---: |",
      ...byName(this.calls),
      "",
      "## Marks: rare paths taken",
      "",
      "| mark | hits |",
      "| --- | ---: |",
      ...byName(this.marks),
      "",
    ].join("\n")
  }

  #cpuSeconds(): number {
    const { user, system } = process.cpuUsage(this.#cpuAtStart)
    return (user + system) / 1_000_000
  }
}

function count(value: number): string {
  return String(Math.round(value)).replace(/\B(?=(\d{3})+$)/g, ",")
}
