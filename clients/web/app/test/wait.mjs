/** Waiting for what is true in the end; nothing is asserted of when. */
import assert from "node:assert/strict";

// Only ends a test that has failed: a busy machine indexes and paints late.
export const WAIT_MS = Number(process.env.WAIT_MS ?? 90_000);
const LOOK_MS = 50;
const AGAIN_MS = 2000;

export async function until(is) {
  const endsAt = Date.now() + WAIT_MS;
  while (!(await is())) {
    assert.ok(Date.now() < endsAt, `it did not come true: ${is}`);
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  }
}

export async function expectCount(locator, count) {
  await locator.first().waitFor();
  assert.equal(await locator.count(), count);
}

/** Waits until it is shown; does something about it again and again while it is not. */
export async function shownOr(locator, again) {
  await until(async () => {
    const isShown = await locator.waitFor({ timeout: AGAIN_MS }).then(() => true, () => false);
    if (!isShown) await again();
    return isShown;
  });
}
