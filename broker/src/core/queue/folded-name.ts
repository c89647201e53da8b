/**
 * The form in which two names are compared. ASCII only: what else has two cases depends on the Unicode version of the
 * node, and replicas must agree.
 */
export function foldedName(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => String.fromCharCode(letter.charCodeAt(0) + 32))
}
