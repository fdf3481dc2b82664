// Bundles the pages' script and style into one hashed file each, with a manifest and the licences of what is inside.
// Usage: npm run build [-- --out DIR]. The same sources give the same bytes; scripts/check_assets.sh relies on it.
import { mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const here = path.dirname(fileURLToPath(import.meta.url));
const asked = process.argv.indexOf("--out");
const out = path.resolve(
  asked > 0 ? process.argv[asked + 1] : path.join(here, "../src/toban/entrypoints/http/static"),
);
const bundled = ["htmx.org"];

await mkdir(out, { recursive: true });
for (const name of await readdir(out)) {
  if (/^toban-.*\.(js|css)$/.test(name)) await rm(path.join(out, name));
}

const result = await build({
  absWorkingDir: here,
  entryPoints: { toban: "src/js/main.js", "toban-style": "src/css/main.css" },
  outdir: out,
  entryNames: "[name]-[hash]",
  bundle: true,
  minify: true,
  format: "iife",
  target: ["es2022", "chrome123", "firefox120", "safari17.5"],
  charset: "utf8",
  legalComments: "none",
  metafile: true,
  logLevel: "warning",
});

const manifest = {};
for (const [file, about] of Object.entries(result.metafile.outputs)) {
  if (!about.entryPoint) continue;
  manifest[about.entryPoint.endsWith(".css") ? "style" : "script"] = path.basename(file);
}
await writeFile(path.join(out, "manifest.json"), `${JSON.stringify(manifest, Object.keys(manifest).sort(), 2)}\n`);

const parts = ["Third-party software inside Toban's page assets. Everything else in them is Toban's own (Apache-2.0).\n"];
for (const name of bundled) {
  const about = JSON.parse(await readFile(path.join(here, "node_modules", name, "package.json"), "utf8"));
  const licence = await readFile(path.join(here, "node_modules", name, "LICENSE"), "utf8");
  parts.push(`${about.name} ${about.version}, by ${about.author}\n\n${licence.trim()}\n`);
}
await writeFile(path.join(out, "LICENSES.txt"), parts.join("\n---\n\n"));
