import { defineConfig } from "eslint/config"
import tseslint from "typescript-eslint"

// Rules and their reasons: CONTRIBUTING.md ("House rules") and docs/adr/0008. Layout is Prettier's business alone.
// The options of a rule do not merge: an override repeats the general list (see `syntax`).

const tests = ["**/*.test.ts", "broker/test/**/*.ts"]

// Files that are one table, row by row. They may grow; a branch may not.
const tables = [
  "proto/src/errors.ts",
  "proto/src/limits.ts",
  "proto/src/actions.ts",
  "broker/src/options.ts",
  "broker/src/codec/command-codec.ts",
]

const syntax = [
  {
    selector: "ExportDefaultDeclaration",
    message: "Export by name: a default export has as many names as it has importers.",
  },
  {
    selector: "ExportAllDeclaration",
    message: "List public names one by one: `export *` makes everything public by accident.",
  },
]

const pureSyntax = [
  ...syntax,
  {
    selector: "MemberExpression[object.name='Math'][property.name='random']",
    message: "The core is told, it never asks: take a Random by argument (core/random.ts).",
  },
  {
    selector: ":function[async=true]",
    message: "No async in core/ and codec/: a function that cannot be suspended keeps its assertions true.",
  },
  {
    selector: "Identifier[name=/^toLocale/], Identifier[name='localeCompare'], Identifier[name='Intl']",
    message: "Locale order differs from machine to machine; replicas would diverge.",
  },
]

const environment = {
  object: "process",
  property: "env",
  message: "Only main.ts reads the environment; everything else is given its options.",
}

export default defineConfig(
  { ignores: ["**/dist/**", "**/dist-test/**", "**/node_modules/**", "proto/src/gen/**", ".opencmq/**"] },
  { linterOptions: { reportUnusedDisableDirectives: "error" } },
  ...tseslint.configs.recommendedTypeChecked,
  {
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    rules: {
      // Promises: a lost one is a lost message.
      "@typescript-eslint/no-floating-promises": "error",
      "@typescript-eslint/no-misused-promises": "error",
      "no-async-promise-executor": "error",

      // Types carry the design.
      "@typescript-eslint/switch-exhaustiveness-check": "error",
      "@typescript-eslint/no-non-null-assertion": "error",
      "@typescript-eslint/prefer-readonly": "error",
      "@typescript-eslint/no-unused-vars": [
        "error",
        { argsIgnorePattern: "^_", varsIgnorePattern: "^_", ignoreRestSiblings: true },
      ],

      // Errors: never swallowed, never without their cause.
      "@typescript-eslint/only-throw-error": "error",
      "preserve-caught-error": "error",
      "no-empty": "error",
      "no-unsafe-finally": "error",
      "no-useless-catch": "error",

      // Names (code style 3.2).
      "@typescript-eslint/naming-convention": [
        "error",
        { selector: "default", format: ["camelCase"], leadingUnderscore: "allow" },
        { selector: "import", format: null },
        { selector: "variable", format: ["camelCase", "UPPER_CASE"], leadingUnderscore: "allow" },
        // A frozen table may carry the name of its type.
        {
          selector: "variable",
          modifiers: ["const", "global"],
          format: ["camelCase", "UPPER_CASE", "PascalCase"],
          leadingUnderscore: "allow",
        },
        // Names from outside (headers, wire fields) are taken as they are.
        { selector: "variable", modifiers: ["destructured"], format: null },
        { selector: ["objectLiteralProperty", "objectLiteralMethod", "typeProperty", "classProperty"], format: null },
        {
          selector: "typeLike",
          format: ["PascalCase"],
          custom: { regex: "(Manager|Helper|Helpers|Util|Utils|Base|Impl|Data|Info)$|^I[A-Z][a-z]", match: false },
        },
      ],
      "id-denylist": ["error", "handle", "helper", "helpers", "manager", "util", "utils", "impl"],

      // Size.
      "max-lines-per-function": ["error", { max: 70, skipBlankLines: true, skipComments: true }],
      "max-lines": ["error", { max: 500 }],
      "max-params": ["error", { max: 3 }],

      // Layers and public surface.
      "no-console": "error",
      "no-restricted-properties": ["error", environment],
      "no-restricted-syntax": ["error", ...syntax],

      // Plain mistakes that neither tsc nor the preset reports.
      eqeqeq: "error",
      "no-cond-assign": "error",
      "no-self-assign": "error",
      "no-self-compare": "error",
      "no-sparse-arrays": "error",
      "no-unmodified-loop-condition": "error",
      "no-unsafe-optional-chaining": "error",
      "use-isnan": "error",
    },
  },
  {
    files: ["broker/src/core/**/*.ts"],
    rules: {
      "no-restricted-globals": ["error", { name: "Date", message: "Time is data: take nowMs by argument." }],
      "no-restricted-syntax": ["error", ...pureSyntax],
    },
  },
  { files: ["broker/src/codec/**/*.ts"], rules: { "no-restricted-syntax": ["error", ...pureSyntax] } },
  {
    files: tests,
    rules: {
      // A story is read from top to bottom; splitting it makes it no clearer.
      "max-lines-per-function": "off",
      "max-lines": "off",
      // A fake of an asynchronous port often has nothing to wait for.
      "@typescript-eslint/require-await": "off",
      "no-restricted-globals": "off",
      "no-restricted-syntax": ["error", ...syntax],
      "no-restricted-properties": [
        "error",
        { object: "vi", property: "mock", message: "No mocks of our own code: hand in a small real class." },
        { object: "vi", property: "useFakeTimers", message: "Time comes through a port: hand in a clock." },
        { property: "toMatchSnapshot", message: "Transcripts are our snapshots (broker/test/transcripts)." },
        { property: "toMatchInlineSnapshot", message: "Transcripts are our snapshots (broker/test/transcripts)." },
      ],
    },
  },
  // The composition roots are handed the environment by the operating system.
  { files: ["**/main.ts"], rules: { "no-restricted-properties": "off" } },
  { files: ["bench/**/*.ts"], rules: { "no-console": "off" } },
  { files: tables, rules: { "max-lines": "off" } },
  { files: ["**/*.config.*"], rules: { "no-restricted-syntax": "off" } },
  {
    files: ["**/*.mjs", "**/*.cjs"],
    extends: [tseslint.configs.disableTypeChecked],
    rules: { "no-console": "off", "no-restricted-properties": "off", "@typescript-eslint/no-require-imports": "off" },
  },
)
