// Builds what the pages are made of from packages of npm: the style sheet, the
// typeface and the list of common passwords. The results are committed, so
// that building Caretaker needs Go alone.
import { createHash } from "node:crypto";
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import * as sass from "sass";

const here = dirname(fileURLToPath(import.meta.url));
const modules = join(here, "node_modules");
const root = join(here, "..", "..", "..");
const assets = join(root, "collector", "web", "assets");
mkdirSync(assets, { recursive: true });

const style = sass.compile(join(here, "styles", "caretaker.scss"), {
  style: "compressed",
  charset: false,
  loadPaths: [modules],
});
// GDS Transport, the crest and the GOV.UK mark are licensed to GOV.UK alone.
if (/GDS Transport|crest|url\((?!["']?atkinson-)/i.test(style.css)) {
  throw new Error("the style sheet names something that is not ours to use");
}
writeFileSync(join(assets, "caretaker.css"), style.css.trim() + "\n");

// What keeps an open page up to date: a library that exchanges only what
// differs, and our own few lines after it.
const morph = readFileSync(join(modules, "idiomorph", "dist", "idiomorph.min.js"), "utf8");
const live = readFileSync(join(here, "scripts", "live.js"), "utf8");
writeFileSync(join(assets, "live.js"), `/* idiomorph, 0BSD */\n${morph.trim()}\n${live}`);

const font = join(modules, "@fontsource-variable", "atkinson-hyperlegible-next");
for (const part of ["latin", "latin-ext"]) {
  copyFileSync(
    join(font, "files", `atkinson-hyperlegible-next-${part}-wght-normal.woff2`),
    join(assets, `atkinson-${part}.woff2`),
  );
}
copyFileSync(join(font, "LICENSE"), join(assets, "LICENSE.atkinson-hyperlegible-next.txt"));

// Six bytes of the SHA-256 of each common password of five characters or more:
// enough to know one by, and nothing to read.
const list = join(modules, "@zxcvbn-ts", "language-common");
const passwords = JSON.parse(readFileSync(join(list, "src", "passwords.json"), "utf8"));
const common = new Set(
  passwords
    .filter((p, rank) => p.length >= 5 && (rank < 20_000 || p.length >= 12))
    .map((p) => p.toLowerCase().normalize("NFC")),
);
const sums = [...common]
  .map((p) => createHash("sha256").update(p, "utf8").digest().subarray(0, 6))
  .sort(Buffer.compare);
writeFileSync(join(root, "collector", "access", "common.bin"), Buffer.concat(sums));
copyFileSync(join(list, "LICENSE.txt"), join(root, "collector", "access", "LICENSE.zxcvbn-ts.txt"));

console.log(`style sheet ${style.css.length} bytes, ${sums.length} common passwords`);
