import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";

const ROOT = new URL("../../static/chat/", import.meta.url);
const MODULES = readdirSync(new URL("js/", ROOT)).filter((name) => name.endsWith(".js"));
const page = readFileSync(new URL("index.html", ROOT), "utf8");
const sources = MODULES.map((name) => [name, readFileSync(new URL(`js/${name}`, ROOT), "utf8")]);

test("the page preloads every module", () => {
  const asked = [...page.matchAll(/rel="modulepreload" href="js\/([^"]+)"/g)].map((match) => match[1]);
  assert.deepEqual(asked.sort(), MODULES.sort());
});

test("the page has no inline script, style or handler", () => {
  assert.doesNotMatch(page, /<script(?![^>]*\bsrc=)|<style|\sstyle=|\son\w+=/);
});

test("all addresses are relative, so the page works under any path", () => {
  for (const match of page.matchAll(/(?:src|href)="([^"]*)"/g)) assert.doesNotMatch(match[1], /^(?:\/|\w+:)/);
});

test("no module parses a string as HTML or as code", () => {
  const readers = /innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|srcdoc/;
  for (const [name, source] of sources) assert.doesNotMatch(source, readers, name);
});

test("only wire.js uses Socket.IO, and only history.js uses the database", () => {
  const those = (pattern) => sources.filter(([, source]) => pattern.test(source)).map(([name]) => name);
  assert.deepEqual(those(/from "[^"]*vendor\//), ["wire.js"]);
  assert.deepEqual(those(/\bindexedDB\./), ["history.js"]);
});

test("no module has more than 250 lines", () => {
  for (const [name, source] of sources) assert.ok(source.split("\n").length <= 250, name);
});
