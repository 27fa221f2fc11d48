/**
 * The layer rules of the project, as lint rules: FFI only in `sys/`, imports only towards the lower layers, no
 * default exports. The order of the layers is the order of {@linkcode LAYERS}; a file may import from its own layer
 * and from those before it.
 *
 * Tests may use FFI and import what they like: they look at the whole from outside.
 *
 * @module
 */

/** The folders, lowest first. `main.ts` and `mod.ts` stand above all of them. */
const LAYERS = ["sys", "kho", "luo", "handlers", "control", "live", "service"];

/** Folders that no product code may import. */
const OUTSIDE = ["testing", "scripts", "tests"];

function isFree(file: string): boolean {
  return file.endsWith("_test.ts") || OUTSIDE.some((folder) => file.startsWith(`${folder}/`));
}

/** The path of a file below the project's root, which is where this plugin's folder lies. */
function below(filename: string): string {
  const root = decodeURIComponent(new URL("..", import.meta.url).pathname);
  return filename.startsWith(root) ? filename.slice(root.length) : filename;
}

function layerOf(file: string): number {
  const folder = file.split("/")[0] ?? "";
  const at = LAYERS.indexOf(folder);
  return at >= 0 ? at : OUTSIDE.includes(folder) ? LAYERS.length + 1 : LAYERS.length;
}

function checkImport(context: Deno.lint.RuleContext, node: Deno.lint.Node, specifier: unknown): void {
  if (typeof specifier !== "string" || !specifier.startsWith(".")) return;
  const from = below(context.filename);
  if (isFree(from)) return;
  const target = new URL(specifier, `file:///${from}`).pathname.slice(1);
  if (layerOf(target) > layerOf(from)) {
    context.report({
      node,
      message: `Cannot import ${target} from ${from}: imports point to lower layers only`,
    });
  }
}

const plugin: Deno.lint.Plugin = {
  name: "heirloom",
  rules: {
    "ffi-in-sys": {
      create(context) {
        const file = below(context.filename);
        if (file.startsWith("sys/") || isFree(file)) return {};
        return {
          MemberExpression(node) {
            if (node.object.type !== "Identifier" || node.object.name !== "Deno") return;
            if (node.property.type !== "Identifier") return;
            const name = node.property.name;
            if (name === "dlopen" || name.startsWith("Unsafe")) {
              context.report({ node, message: `Cannot use Deno.${name} here: FFI belongs in sys/` });
            }
          },
        };
      },
    },
    "layers": {
      create(context) {
        return {
          ImportDeclaration: (node) => checkImport(context, node, node.source.value),
          ExportNamedDeclaration: (node) => checkImport(context, node, node.source?.value),
          ExportAllDeclaration: (node) => checkImport(context, node, node.source.value),
          ImportExpression: (node) => {
            checkImport(context, node, node.source.type === "Literal" ? node.source.value : undefined);
          },
        };
      },
    },
    "no-default-export": {
      create(context) {
        if (below(context.filename) === "scripts/lint_plugin.ts") return {};
        return {
          ExportDefaultDeclaration(node) {
            context.report({ node, message: "Cannot export a default: give it a name" });
          },
        };
      },
    },
  },
};

export default plugin;
