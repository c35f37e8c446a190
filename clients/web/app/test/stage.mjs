/** What the tests of a file stand on: a server and a browser of their own. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before } from "node:test";
import { launch, Person, Server, Terminal } from "./world.mjs";

/** `settings`: what `maru serve` takes besides, or what gives it when the tests begin. `begun`: what comes before the first test, once the server is there. `server` and `browser` are there once they run. */
export function stage(settings = () => [], begun = async () => {}) {
  const at = {
    person: async (name, options) => (await at.guest(options)).signUp(name),
    /** A browser of whoever has not come in yet. */
    guest: (options) => Person.at(at.browser, at.server, options),
  };
  before(async () => {
    at.server = await Server.start(...await settings());
    at.browser = await launch();
    await begun();
  });
  after(async () => {
    Terminal.endAll();
    await at.browser?.close();
    await at.server?.remove();
  });
  return at;
}

/** What stands over a message that the pointer is on. */
export async function act(message, name) {
  await message.hover();
  await message.getByRole("button", { name, exact: true }).click();
}

const axe = readFileSync(new URL("../node_modules/axe-core/axe.min.js", import.meta.url), "utf8");
/** Nothing on the page keeps anybody out, as far as a program can tell. The protocol of the browser's tools runs it, which the page's rules do not concern. */
export async function audit(page, place) {
  const { violations } = await page.evaluate(`(() => { ${axe}; })(), axe.run(document, { resultTypes: ["violations"] })`);
  assert.deepEqual(violations.map(({ id, nodes }) => [id, nodes.map(({ html, failureSummary }) => `${html} ${failureSummary}`)]), [], place);
}
