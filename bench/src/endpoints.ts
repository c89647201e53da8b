/**
 * Against whom a load may be run: this computer, unless it is said aloud that it shall be another.
 */
import { BlockList, isIP } from "node:net"

const loopback = new BlockList()
loopback.addSubnet("127.0.0.0", 8, "ipv4")
loopback.addAddress("::1", "ipv6")

/** Whether an endpoint is surely this computer: a loopback address, or `localhost`. Other names are not looked up. */
export function isLoopback(endpoint: string): boolean {
  if (!URL.canParse(endpoint)) return false
  const host = new URL(endpoint).hostname.replace(/^\[|\]$/g, "")
  const version = isIP(host)
  if (version === 0) return host === "localhost"
  return loopback.check(host, version === 4 ? "ipv4" : "ipv6")
}

/** @returns what to tell the user, undefined when the load may be run. */
export function refusalFor(endpoints: readonly string[], isRemoteAllowed: boolean): string | undefined {
  const remote = endpoints.filter((endpoint) => !isLoopback(endpoint))
  if (remote.length === 0 || isRemoteAllowed) return undefined
  return `${remote.join(", ")} is not this computer; add --yes-remote if the load shall really go there`
}
