/** A real `maru serve`, real browsers and a terminal client, all on loopback and the test's own. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { createInterface } from "node:readline";
import { chromium } from "playwright-core";
// Built by the SDK's own tests, which `make web` runs before these.
import { Server } from "../../sdk/dist/test/server.js";
import { WAIT_MS } from "./wait.mjs";

export { Server };
export const PASSWORD = "a long password";
const BROWSERS = [process.env.CHROMIUM, "/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];

export async function launch() {
  const executablePath = BROWSERS.find((path) => path && existsSync(path));
  assert.ok(executablePath, "no Chromium here: apt install chromium, or set CHROMIUM to where it is");
  // Root has no sandbox; the pages are this test's own.
  return chromium.launch({ executablePath, args: [...(process.getuid?.() === 0 ? ["--no-sandbox"] : []), "--disable-dev-shm-usage", "--disable-gpu"] });
}

/** One person at a browser of their own. What the page complains of fails the test, and so does a request to anybody else. */
export class Person {
  faults = [];

  static async at(browser, server, options = {}) {
    const person = new Person();
    person.server = server;
    person.context = await browser.newContext({ locale: "en-US", viewport: { width: 1280, height: 800 }, reducedMotion: "reduce", ...options });
    person.context.setDefaultTimeout(WAIT_MS);
    await person.context.grantPermissions(["clipboard-read", "clipboard-write"]);
    person.page = await person.tab();
    return person;
  }

  async tab(hash = "") {
    const page = await this.context.newPage();
    const hosts = () => [this.server.http, this.server.chat];
    page.on("pageerror", (error) => this.faults.push(`${error.stack}`));
    page.on("console", (message) => {
      // A refusal that the app shows in words is in the console as well, and so is a connection that was cut.
      if (message.type() === "error" && !/Failed to load resource|WebSocket connection to/.test(message.text())) this.faults.push(message.text());
    });
    page.on("request", (request) => { if (!hosts().includes(new URL(request.url()).host)) this.faults.push(`asked ${request.url()}`); });
    await page.goto(`${this.server.url}/${hash}`);
    return page;
  }

  async signUp(name) {
    const { page } = this;
    this.name = name;
    await page.getByRole("button", { name: "Sign up" }).click();
    await page.getByLabel("Name", { exact: true }).fill(name);
    await page.getByLabel("Password").fill(PASSWORD);
    await page.locator("form button[type=submit]").click();
    await page.getByRole("navigation", { name: "Chats" }).waitFor();
    return this;
  }

  async logIn(name, password = PASSWORD) {
    const { page } = this;
    await page.getByLabel("Name", { exact: true }).fill(name);
    await page.getByLabel("Password").fill(password);
    await page.locator("form button[type=submit]").click();
  }

  /** Begins a direct conversation, or goes on with it. */
  async chatWith(name) {
    await this.page.getByRole("button", { name: "New chat" }).first().click();
    await this.page.getByLabel("User name").fill(name);
    await this.page.getByRole("button", { name: "Start chat" }).click();
    await this.page.getByRole("main", { name }).waitFor();
  }

  async openRow(title) {
    await this.page.getByRole("navigation").getByRole("link", { name: title }).click();
    await this.page.getByRole("main", { name: title }).waitFor();
  }

  async write(text) {
    await this.page.locator("#composer").fill(text);
    await this.page.locator("#composer").press("Enter");
  }

  /** The message with exactly this text, in the conversation. */
  said(text, page = this.page) {
    return page.locator(".timeline .message").filter({ has: page.getByText(text, { exact: true }) });
  }

  async offline(isOffline) {
    await this.context.setOffline(isOffline);
  }

  async done() {
    await this.context.close();
    assert.deepEqual(this.faults, []);
  }
}

/** `maru chat --json`: the terminal client, as programs use it. */
export class Terminal {
  static #running = new Set();
  told = [];
  waits = [];

  /** Ends those that a test which failed has left behind. */
  static endAll() {
    for (const child of Terminal.#running) child.kill();
  }

  static async signUp(server, name) {
    const terminal = new Terminal();
    const built = process.env.MARU;
    assert.ok(built && existsSync(built), "MARU names the binary");
    terminal.child = spawn(built, ["chat", "--server", server.url, "--no-state", "--transport", "ws", "--json"], { stdio: ["pipe", "pipe", "inherit"] });
    Terminal.#running.add(terminal.child);
    terminal.child.on("exit", () => Terminal.#running.delete(terminal.child));
    createInterface({ input: terminal.child.stdout }).on("line", (line) => {
      const event = JSON.parse(line);
      terminal.told.push(event);
      terminal.waits = terminal.waits.filter(({ is, resolve }) => !is(event) || resolve(event));
    });
    terminal.say({ cmd: "signup", name, password: PASSWORD });
    await terminal.heard(({ event }) => event === "live");
    return terminal;
  }

  say(command) {
    this.child.stdin.write(`${JSON.stringify(command)}\n`);
  }

  heard(is) {
    const there = this.told.find(is);
    return there ? Promise.resolve(there) : new Promise((resolve) => this.waits.push({ is, resolve }));
  }

  async end() {
    const ended = new Promise((resolve) => this.child.on("exit", resolve));
    this.child.stdin.end();
    await ended;
  }
}
