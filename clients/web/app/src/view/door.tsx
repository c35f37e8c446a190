/** Where one comes in: logging in, and signing up. */
import { useSignal } from "@preact/signals";
import { AccountError } from "@maru/sdk";
import { account, enter, outBecause, wordsOf } from "../state/chat.js";
import { language, speak, t } from "../words/words.js";
import { Field } from "./parts.js";

/** An invite link has its code behind `#`, where no server and no log sees it. */
const inviteOf = (hash: string): string => /^#invite=([0-9a-fA-F]{8,64})$/.exec(hash)?.[1] ?? "";

export function Door() {
  const invited = inviteOf(location.hash);
  const isNew = useSignal(invited !== "");
  const [name, password, code, invite] = [useSignal(""), useSignal(""), useSignal(""), useSignal(invited)];
  const [needsCode, isBusy, fault] = [useSignal(false), useSignal(false), useSignal(outBecause.value)];

  const submit = async (event: SubmitEvent): Promise<void> => {
    event.preventDefault();
    if (isBusy.value) return;
    isBusy.value = true;
    fault.value = "";
    try {
      if (isNew.value) {
        await account.signup(name.value, password.value, invite.value || undefined);
        isNew.value = false;
      }
      const login = await account.login(name.value, password.value, { deviceName: deviceName(), ...(code.value && { code: code.value.trim() }) });
      history.replaceState(null, "", location.pathname);
      await enter(login);
    } catch (error) {
      const asks = error instanceof AccountError && error.code === "code_required";
      needsCode.value ||= asks;
      fault.value = asks ? t("codeNeeded") : wordsOf(error);
    } finally {
      isBusy.value = false;
    }
  };

  return (
    <main class="door">
      <div class="door-card">
        <div class="brand">
          <Mark />
          <h1>{t("maru")}</h1>
          <p>{t("tagline")}</p>
        </div>
        <form onSubmit={submit}>
          <h2>{isNew.value ? t("signUp") : t("logIn")}</h2>
          {fault.value && <p class="fault" role="alert">{fault.value}</p>}
          <Field label={t("name")} value={name.value} onValue={(to) => { name.value = to; }} autoComplete="username" required autoFocus maxLength={64} />
          <Field label={t("password")} type="password" value={password.value} onValue={(to) => { password.value = to; }} required
            autoComplete={isNew.value ? "new-password" : "current-password"} {...(isNew.value && { hint: t("passwordHint") })} />
          {needsCode.value && !isNew.value &&
            <Field label={t("code")} value={code.value} onValue={(to) => { code.value = to; }} autoComplete="one-time-code" autoFocus required />}
          {isNew.value && <Field label={t("inviteOptional")} value={invite.value} onValue={(to) => { invite.value = to; }} />}
          <button class="primary" type="submit" disabled={isBusy.value}>
            {isBusy.value ? t(isNew.value ? "signingUp" : "loggingIn") : t(isNew.value ? "signUp" : "logIn")}
          </button>
          <p class="other">
            {t(isNew.value ? "haveAccount" : "noAccount")}{" "}
            <button type="button" class="link" onClick={() => { isNew.value = !isNew.value; fault.value = ""; }}>
              {t(isNew.value ? "logIn" : "signUp")}
            </button>
          </p>
        </form>
        <p class="languages">
          {(["en", "ko"] as const).map((one) => (
            <button type="button" class="link" lang={one} key={one} aria-pressed={language.value === one} onClick={() => speak(one)}>
              {one === "en" ? "English" : "한국어"}
            </button>
          ))}
        </p>
      </div>
    </main>
  );
}

export const Mark = () => (
  <svg class="mark" viewBox="0 0 64 64" aria-hidden="true">
    <rect class="mark-floor" width="64" height="64" rx="16" />
    <g class="mark-boards">
      <rect x="12" y="14" width="40" height="10" rx="3" /><rect x="12" y="27" width="18" height="10" rx="3" />
      <rect x="34" y="27" width="18" height="10" rx="3" opacity=".75" /><rect x="12" y="40" width="40" height="10" rx="3" opacity=".9" />
    </g>
  </svg>
);

/** What the list of devices calls this one. */
function deviceName(): string {
  const agent = navigator.userAgent;
  const browser = /Edg\//.test(agent) ? "Edge" : /Firefox\//.test(agent) ? "Firefox" : /Chrome\//.test(agent) ? "Chrome" : /Safari\//.test(agent) ? "Safari" : "Browser";
  const system = /Android/.test(agent) ? "Android" : /iPhone|iPad/.test(agent) ? "iOS" : /Mac/.test(agent) ? "macOS" : /Windows/.test(agent) ? "Windows" : "Linux";
  return `${browser}, ${system}`;
}
