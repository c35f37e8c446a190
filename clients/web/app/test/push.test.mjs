/** Notifications: asked for by a click, pushed through a service on loopback, shown by the service worker, and taken away again. */
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { Account, directChannel, Maru } from "../../sdk/dist/src/index.js";
import { nodeSocket } from "../../sdk/dist/src/node/index.js";
import { assertPush, PushService, subscribeAt, Worker } from "./pushservice.mjs";
import { audit, stage } from "./stage.mjs";
import { until } from "./wait.mjs";
import { PASSWORD } from "./world.mjs";

const LIMIT = { timeout: 300_000 };
let service;
const at = stage(async () => {
  service = await PushService.start();
  return ["--push-allow", service.address];
});
after(() => service?.close());

async function person(name) {
  const one = await at.guest({ timezoneId: "Asia/Seoul" });
  one.push = await subscribeAt(one.context, service);
  await one.page.reload();
  return one.signUp(name);
}
const account = () => new Account(at.server.url);
/** Another device of a user, or another user, as a program. */
async function device(name) {
  const login = await account().login(name, PASSWORD);
  const maru = await Maru.open({ server: at.server.url, login, transport: nodeSocket });
  return { maru, ask: (method, path, body) => maru.ask(method, path, body) };
}
async function friend(name) {
  await account().signup(name, PASSWORD);
  return device(name);
}
const say = async ({ maru }, to, text) => maru.stored((await maru.send(directChannel(maru.user, to), text)).sendId);
const notices = (one) => one.page.getByRole("region", { name: "Notifications" });
async function turnOn(one) {
  await one.page.getByRole("button", { name: "Settings" }).click();
  await notices(one).getByRole("button", { name: "Turn on in this browser" }).click();
  await notices(one).getByRole("button", { name: "Turn off in this browser" }).waitFor();
}
/** Nobody is at the browser: its page is closed, and its device with it. */
async function leave(one) {
  await one.page.goto("about:blank");
}
const subscriptions = async ({ ask }) => (await ask("GET", "/v1/push/subscriptions")).subscriptions;

test("who asks for it is told while Maru is closed; a click opens the conversation; what is read is shown no more", LIMIT, async () => {
  const [ann, ben, cho] = [await person("ann"), await friend("ben"), await friend("cho")];
  const other = await device("ann");
  const me = other.maru.user;
  assert.equal(ann.push.asked, 0, "nobody is asked before they click");
  await turnOn(ann);
  assert.equal(ann.push.asked, 1);
  const [first] = await subscriptions(other);
  assert.deepEqual([first.provider, first.host, first.preview, first.zone, first.quiet_from, first.quiet_until], ["webpush", `http://${service.address}`, "sender", "Asia/Seoul", 0, 0]);
  await notices(ann).getByLabel("Quiet hours").check();
  await until(async () => (await subscriptions(other))[0].quiet_from === 22 * 60);
  await notices(ann).getByLabel("From").waitFor();
  await audit(ann.page, "notifications");
  await notices(ann).getByLabel("From").fill("00:30");
  await until(async () => (await subscriptions(other))[0].quiet_from === 30);
  await notices(ann).getByLabel("Quiet hours").uncheck();
  await notices(ann).getByLabel("What is shown").selectOption("text");
  await until(async () => (await subscriptions(other))[0].preview === "text");
  assert.equal((await subscriptions(other))[0].quiet_from, (await subscriptions(other))[0].quiet_until);
  await other.maru.close();

  await leave(ann);
  const worker = await Worker.of(ann);
  await say(ben, me, "dinner at eight?");
  const push = await service.next(ann.push.subscription.id);
  assertPush(push, false);
  assert.deepEqual([push.said.title, push.said.body, push.said.user], ["ben", "dinner at eight?", me.toString()]);
  await worker.deliver(push.text);
  const channel = directChannel(me, ben.maru.user).toString();
  assert.deepEqual(await worker.untilShown((all) => all.length === 1), [{ title: "ben", body: "dinner at eight?", tag: channel, data: { channel, seq: 1 } }]);
  // A newer one of the same channel takes its place; another channel has its own.
  await say(ben, me, "or at nine");
  await worker.deliver((await service.next(ann.push.subscription.id)).text);
  await say(cho, me, "look at this");
  await worker.deliver((await service.next(ann.push.subscription.id)).text);
  const all = await worker.untilShown((shown) => shown.length === 2 && shown.some(({ body }) => body === "or at nine"));
  assert.deepEqual(all.map(({ body }) => body).sort(), ["look at this", "or at nine"]);
  // What is no push of Maru's is shown as little as possible.
  await worker.deliver("{nonsense");
  await worker.untilShown((shown) => shown.some(({ title, body, tag }) => title === "Maru" && body === "" && tag === "maru"));

  // Without a page one is opened at the message.
  assert.deepEqual(await worker.click(channel), [`/#/c/${channel}/2`]);
  assert.equal((await worker.shown()).length, 2);
  await worker.deliver(JSON.stringify({ ...push.said, seq: "3", body: "are you there?" }));
  await worker.untilShown((shown) => shown.some(({ body }) => body === "are you there?"));
  // A page that is there goes to it.
  await ann.page.goto(at.server.url);
  await ann.page.getByRole("navigation", { name: "Chats" }).getByRole("link", { name: /ben/ }).waitFor();
  assert.deepEqual(await worker.click(channel), []);
  await ann.page.getByRole("main", { name: "ben" }).waitFor();
  await ann.said("or at nine").waitFor();
  // What is read on another device is taken away here.
  const choses = directChannel(me, cho.maru.user);
  const phone = await device("ann");
  await phone.maru.markRead(choses, 1);
  await worker.untilShown((shown) => !shown.some(({ tag }) => tag === choses.toString()));
  // And what is withdrawn without a page, up to its seq.
  await worker.deliver(JSON.stringify({ v: 1, channel: "7", seq: "4", title: "x", body: "four" }));
  await worker.deliver(JSON.stringify({ v: 1, channel: "7", seq: "3", withdrawn: true }));
  await worker.deliver(JSON.stringify({ v: 1, channel: "8", seq: "1", title: "x", body: "behind it" }));
  await worker.untilShown((shown) => shown.some(({ body }) => body === "behind it") && shown.some(({ body }) => body === "four"));
  await worker.deliver(JSON.stringify({ v: 1, channel: "7", seq: "4", withdrawn: true }));
  await worker.untilShown((shown) => !shown.some(({ body }) => body === "four"));

  // Who logs out is told no more, and leaves nothing on the screen.
  ann.page.on("dialog", (dialog) => void dialog.accept());
  await ann.page.getByRole("button", { name: "Settings" }).click();
  await ann.page.getByRole("dialog").getByRole("button", { name: "Log out", exact: true }).click();
  await ann.page.getByRole("heading", { name: "Log in" }).waitFor();
  await until(() => ann.push.subscription === undefined);
  await worker.untilShown((shown) => shown.length === 0);
  assert.deepEqual(await subscriptions(phone), []);
  for (const one of [ben, cho, phone]) await one.maru.close();
  await ann.done();
});

test("a subscription that ended is made anew: by the next page, or by the worker alone", LIMIT, async () => {
  const [dia, eli] = [await person("dia"), await friend("eli")];
  await turnOn(dia);
  const before = dia.push.subscription;
  await leave(dia);
  // The service has forgotten it: the server removes it, and the page that is opened next has another one.
  service.end(before.id);
  const login = await account().login("dia", PASSWORD);
  await say(eli, login.user, "one");
  const look = async () => (await account().ask("GET", "/v1/push/subscriptions", undefined, login.token)).subscriptions;
  await until(async () => (await look()).length === 0);
  await dia.page.goto(at.server.url);
  await until(async () => (await look()).length === 1 && dia.push.subscription?.id !== before.id);
  await leave(dia);
  const second = dia.push.subscription;
  await say(eli, login.user, "two");
  const { said } = await service.next(second.id);
  assert.deepEqual([said.title, said.body], ["eli", "New message"], "as much as was shown before");

  // The browser says that it has another one, while no page is open.
  const worker = await Worker.of(dia);
  const third = service.subscribe();
  await worker.run(async ({ endpoint, keys }) => {
    const event = new ExtendableEvent("pushsubscriptionchange");
    const waits = [];
    event.waitUntil = (work) => waits.push(work);
    event.newSubscription = { toJSON: () => ({ endpoint, keys }) };
    self.dispatchEvent(event);
    await Promise.all(waits);
  }, third);
  await say(eli, login.user, "three");
  assert.match((await service.next(third.id)).said.title, /^eli$/);

  // The user turns it off: the server tells nobody, the browser holds nothing.
  await dia.page.goto(at.server.url);
  await dia.page.getByRole("button", { name: "Settings" }).click();
  await notices(dia).getByRole("button", { name: "Turn off in this browser" }).click();
  await notices(dia).getByRole("button", { name: "Turn on in this browser" }).waitFor();
  assert.deepEqual([await look(), dia.push.subscription], [[], undefined]);
  // Of one channel only what mentions the user, or nothing: said to every device.
  await dia.page.getByRole("dialog").getByRole("button", { name: "Close" }).click();
  await dia.openRow("eli");
  await dia.page.getByRole("button", { name: "More" }).click();
  await dia.page.getByLabel("Notifications").selectOption("1");
  const tablet = await device("dia");
  await until(async () => (await tablet.maru.channels()).some(({ notify, lastSeq }) => lastSeq > 0 && notify === 1));
  for (const one of [eli, tablet]) await one.maru.close();
  await dia.done();
});

test("a browser that forbids notifications, or has none, is told so in words", LIMIT, async () => {
  const one = await at.guest();
  await one.context.addInitScript(() => {
    Notification.requestPermission = async () => "denied";
    Object.defineProperty(Notification, "permission", { get: () => (sessionStorage.asked ? "denied" : "default") });
  });
  await one.page.reload();
  await one.signUp("fay");
  await one.page.getByRole("button", { name: "Settings" }).click();
  await one.page.evaluate(() => { sessionStorage.asked = "yes"; });
  await notices(one).getByRole("button", { name: "Turn on in this browser" }).click();
  await notices(one).getByText("This browser does not let Maru show notifications.").waitFor();
  await one.done();
  const none = await at.guest();
  await none.context.addInitScript(() => { delete window.PushManager; });
  await none.page.reload();
  await none.signUp("gus");
  await none.page.getByRole("button", { name: "Settings" }).click();
  await notices(none).getByText("This browser cannot be told of messages").waitFor();
  await none.done();
});
