#!/usr/bin/env node
/** The command `opencmq`. The one place that reads the environment and ends the process. */
import { runCli } from "./cli/program.ts"

// A bug (a failed assertion) must not be survived half-way: the supervisor restarts, the log replays.
process.on("uncaughtException", (error) => {
  process.stderr.write(`opencmq: a bug ended the process: ${error.stack ?? String(error)}\n`)
  process.exit(EXIT_CODE_BUG)
})

const EXIT_CODE_BUG = 70

process.exitCode = await runCli(process.argv.slice(2), {
  stdin: process.stdin,
  stdout: process.stdout,
  stderr: process.stderr,
  environment: process.env,
})
// Timers, sockets and the parent's channel may still be open: the command is done all the same.
process.stdout.write("", () => {
  process.exit()
})
