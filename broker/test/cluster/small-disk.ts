/**
 * Small file systems for nodes' data, and other ways to take their disk away. Needs root; `unavailableReason` says so.
 */
import { execFileSync } from "node:child_process"
import { closeSync, mkdirSync, openSync, readdirSync, rmSync, statSync, statfsSync, writeSync } from "node:fs"
import { join } from "node:path"

const FILLER = "filler-of-the-test"
const CHUNK_BYTES = 65_536

/** Why no file system can be mounted here; undefined when it can. */
export function mountUnavailableReason(probeFolder: string): string | undefined {
  if (process.platform !== "linux" || process.getuid?.() !== 0)
    return "mounting a small file system needs Linux and root"
  try {
    const disk = new SmallDisk(join(probeFolder, "probe"), 1_048_576)
    disk.unmount()
    return undefined
  } catch (cause) {
    return `mount failed: ${String(cause)}`
  }
}

/** A tmpfs of fixed size at a folder. */
export class SmallDisk {
  readonly folder: string

  constructor(folder: string, bytes: number) {
    this.folder = folder
    mkdirSync(folder, { recursive: true })
    execFileSync("mount", ["-t", "tmpfs", "-o", `size=${String(bytes)}`, "tmpfs", folder], { stdio: "pipe" })
  }

  get freeBytes(): number {
    const { bavail, bsize } = statfsSync(this.folder)
    return bavail * bsize
  }

  /** Takes all space that is left. @returns bytes taken. */
  fill(): number {
    const file = openSync(join(this.folder, FILLER), "a")
    const chunk = Buffer.alloc(CHUNK_BYTES, 1)
    let taken = 0
    try {
      for (;;) {
        const written = writeSync(file, chunk)
        taken += written
        if (written === 0) break
      }
    } catch (thrown) {
      if ((thrown as NodeJS.ErrnoException).code !== "ENOSPC") throw thrown
    } finally {
      closeSync(file)
    }
    return taken
  }

  /** Gives the space back. */
  free(): void {
    rmSync(join(this.folder, FILLER), { force: true })
  }

  unmount(): void {
    // Lazily: a process that is just ending may still have a file open.
    execFileSync("umount", ["--lazy", this.folder], { stdio: "pipe" })
  }
}

/** Why no limit can be set; undefined when it can. */
export function prlimitUnavailableReason(): string | undefined {
  try {
    execFileSync("prlimit", ["--version"], { stdio: "pipe" })
    return undefined
  } catch {
    return "prlimit (util-linux) is not installed"
  }
}

/** From now on no write of the process may reach beyond so many bytes of a file: EFBIG, as on a full disk. */
export function limitFileSize(pid: number, bytes: number | undefined): void {
  // The soft limit only, so that it can be raised again.
  execFileSync("prlimit", ["--pid", String(pid), `--fsize=${bytes === undefined ? "unlimited" : String(bytes)}:`], {
    stdio: "pipe",
  })
}

/** Files below a folder with their sizes, largest first. */
export function filesBelow(folder: string): readonly { readonly path: string; readonly bytes: number }[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .map((path) => ({ path, bytes: statSync(path).size }))
    .sort((a, b) => b.bytes - a.bytes)
}
