import js from "@eslint/js";
import { createNodeResolver, importX } from "eslint-plugin-import-x";
import tseslint from "typescript-eslint";

/** Layer rules (CONTRIBUTING.md, "Arrows go one way"): who may not import what, and why. */
const noMcpSdk = {
  group: ["@modelcontextprotocol/*"],
  message: "The MCP SDK is imported only in src/server/, src/cli/client.ts and src/cli/login/resource.ts.",
};
const noRegistrars = {
  group: ["**/registrars/**"],
  message: "The core knows no backend: only src/platform.ts composes registrars.",
};
const noTools = {
  group: ["**/tools/**"],
  message: "The core knows no tool: only src/platform.ts and src/tool-list.ts see the tools.",
};
const noProcessEnv = {
  selector: "MemberExpression[object.name='process'][property.name='env']",
  message: "src/environment.ts is the only reader of process.env: take the value as an argument.",
};
const noStdout = {
  selector: "MemberExpression[object.name='process'][property.name='stdout']",
  message: "stdout belongs to the protocol: write through src/cli/output.ts or the logger on fd 2.",
};

export default tseslint.config(
  { ignores: ["dist", "coverage", "examples", "node_modules"] },
  js.configs.recommended,
  tseslint.configs.strictTypeChecked,
  tseslint.configs.stylisticTypeChecked,
  importX.flatConfigs.recommended,
  importX.flatConfigs.typescript,
  {
    languageOptions: {
      parserOptions: {
        projectService: { allowDefaultProject: ["*.js"] },
        tsconfigRootDir: import.meta.dirname,
      },
    },
    linterOptions: { reportUnusedDisableDirectives: "error" },
    settings: { "import-x/resolver-next": [createNodeResolver({ extensions: [".ts", ".js", ".mjs"] })] },
    rules: {
      "@typescript-eslint/consistent-type-assertions": ["error", { assertionStyle: "never" }],
      "@typescript-eslint/consistent-type-imports": "error",
      "@typescript-eslint/no-unused-vars": ["error", { argsIgnorePattern: "^_", varsIgnorePattern: "^_" }],
      "@typescript-eslint/restrict-template-expressions": [
        "error",
        { allowNumber: true, allowBoolean: true },
      ],
      "@typescript-eslint/no-confusing-void-expression": ["error", { ignoreArrowShorthand: true }],
      "@typescript-eslint/no-empty-function": ["error", { allow: ["methods", "arrowFunctions"] }],
      "@typescript-eslint/require-await": "off",
      "@typescript-eslint/switch-exhaustiveness-check": "error",
      "import-x/no-cycle": "error",
      "import-x/no-unresolved": "off",
      "import-x/named": "off",
      "import-x/namespace": "off",
      "import-x/default": "off",
      "import-x/no-named-as-default": "off",
      "import-x/no-named-as-default-member": "off",
      "import-x/order": ["error", { alphabetize: { order: "asc" } }],
      "no-console": "error",
      "no-restricted-imports": ["error", { patterns: [noMcpSdk, noRegistrars, noTools] }],
      "no-restricted-syntax": ["error", noProcessEnv, noStdout],
      eqeqeq: "error",
    },
  },
  {
    files: ["src/platform.ts", "src/tool-list.ts"],
    rules: { "no-restricted-imports": ["error", { patterns: [noMcpSdk] }] },
  },
  {
    files: ["src/server/**", "src/cli/client.ts", "src/cli/login/resource.ts"],
    rules: { "no-restricted-imports": ["error", { patterns: [noRegistrars, noTools] }] },
  },
  { files: ["src/environment.ts", "src/main.ts"], rules: { "no-restricted-syntax": ["error", noStdout] } },
  {
    files: ["src/cli/output.ts", "src/server/stdout.ts"],
    rules: { "no-restricted-syntax": ["error", noProcessEnv] },
  },
  {
    files: ["tools/**"],
    rules: { "no-restricted-imports": ["error", { patterns: [noMcpSdk, noRegistrars] }] },
  },
  {
    files: ["registrars/**"],
    rules: { "no-restricted-imports": ["error", { patterns: [noMcpSdk, noTools] }] },
  },
  {
    files: ["test/**", "scripts/**", "bench/**", "*.ts", "*.js"],
    rules: { "no-restricted-imports": "off", "no-restricted-syntax": "off", "no-console": "off" },
  },
  { files: ["**/*.js"], extends: [tseslint.configs.disableTypeChecked] },
);
