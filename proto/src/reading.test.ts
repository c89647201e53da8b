import { expect, test } from "vitest"
import { errorText } from "./errors.ts"
import { accept, refuse } from "./reading.ts"

test("a refusal carries what its text needs", () => {
  const refused = refuse("parameterMissing", "queueName")
  expect(refused).toEqual({ ok: false, error: "parameterMissing", args: ["queueName"] })
  expect(errorText(refused.error, ...refused.args)).toBe("(10390)lacked of required parameter queueName")
})

test("an accepted value is given as it is", () => {
  expect(accept(7)).toEqual({ ok: true, value: 7 })
})
