/** The control plane over HTTP: accounts, tokens, and where the server is (docs/http.md). */

/** What a login gives. Keep the newest one: its refresh token works once. */
export interface Login {
  user: bigint;
  device: bigint;
  /** The access token. */
  token: string;
  expiresMs: number;
  refresh: string;
  /** Where the WebSocket is. */
  chat: string;
}

/** A request that was refused, or got no answer. */
export class AccountError extends Error {
  constructor(
    /** A stable word; `unreachable` when there was no answer. */
    readonly code: string,
    text: string,
    /** 0: the same request will be refused again. */
    readonly retryAfterMs: number,
  ) {
    super(text);
    this.name = "AccountError";
  }
}

const ANSWER_WAIT_MS = 30_000;
/** What a request without an answer is told to wait. */
const UNREACHABLE_RETRY_MS = 1000;

type Json = Record<string, unknown>;
const text = (json: Json, name: string): string => {
  const value = json[name];
  if (typeof value !== "string") throw new AccountError("bad_answer", `the answer has no text "${name}"`, 0);
  return value;
};

/** Something that asks like the web's `fetch`. */
export type Fetch = (url: string, init: RequestInit) => Promise<Response>;

export class Account {
  private readonly base: string;

  /** `server`: `http://host:port` or `https://host`; in a page served by Maru `location.origin`. */
  constructor(server: string, private readonly fetch_: Fetch = (url, init) => fetch(url, init)) {
    const { protocol } = new URL(server);
    if (protocol !== "http:" && protocol !== "https:") throw new TypeError(`${server} is no address like http://host:port`);
    this.base = server.replace(/\/+$/, "");
  }

  /** Makes an account; gives its user id. */
  async signup(name: string, password: string, invite?: string): Promise<bigint> {
    return BigInt(text(await this.request("POST", "/v1/signup", { name, password, ...(invite && { invite }) }), "user"));
  }

  /** Makes a device, or goes on with an earlier one. `code`: of an account with a second factor. */
  async login(name: string, password: string, more: { device?: bigint; code?: string; deviceName?: string } = {}): Promise<Login> {
    const { device, code, deviceName } = more;
    const body = { name, password, ...(device && { device: device.toString() }), ...(code && { code }), ...(deviceName && { device_name: deviceName }) };
    return this.grant(await this.request("POST", "/v1/login", body));
  }

  /** The next tokens of the same device. A bot's token with the scope `connect` is a refresh token, too. */
  async renew(refresh: string): Promise<Login> {
    return this.grant(await this.request("POST", "/v1/token", { refresh }));
  }

  /** This device is no more. */
  async logout(token: string): Promise<void> {
    await this.request("POST", "/v1/logout", undefined, token);
  }

  /** Where the WebSocket is now. */
  async route(token: string): Promise<string> {
    return this.chatOf(text(await this.request("GET", "/v1/route", undefined, token), "chat"));
  }

  /** The user with this name. */
  async userByName(token: string, name: string): Promise<bigint> {
    return BigInt(text(await this.request("GET", `/v1/users/by-name/${encodeURIComponent(name)}`, undefined, token), "user"));
  }

  /** Anything else that the control plane answers (docs/http.md). */
  ask(method: string, path: string, body: object | undefined, token: string): Promise<Record<string, unknown>> {
    return this.request(method, path, body, token);
  }

  private grant(json: Json): Login {
    return {
      user: BigInt(text(json, "user")), device: BigInt(text(json, "device")), token: text(json, "token"),
      expiresMs: Number(json["expires_ms"]), refresh: text(json, "refresh"), chat: this.chatOf(text(json, "chat")),
    };
  }

  /** Who logged in over TLS goes on over TLS. */
  private chatOf(chat: string): string {
    const { protocol } = new URL(chat);
    if (protocol === "wss:" || (protocol === "ws:" && this.base.startsWith("http:"))) return chat;
    throw new AccountError("untrusted", `the chat address ${chat} is in clear text, but the login was not`, 0);
  }

  private async request(method: string, path: string, body?: object, token?: string): Promise<Json> {
    const headers: Record<string, string> = {};
    if (body) headers["Content-Type"] = "application/json";
    if (token) headers["Authorization"] = `Bearer ${token}`;
    const init: RequestInit = { method, headers, redirect: "error", signal: AbortSignal.timeout(ANSWER_WAIT_MS) };
    if (body) init.body = JSON.stringify(body);
    let response: Response;
    let said: string;
    try {
      response = await this.fetch_(this.base + path, init);
      said = await response.text();
    } catch (error) {
      throw new AccountError("unreachable", `no answer from ${this.base}: ${String(error)}`, UNREACHABLE_RETRY_MS);
    }
    let json: Json = {};
    try {
      if (said) json = JSON.parse(said) as Json;
    } catch {
      // Not Maru's answer, perhaps a proxy's: what counts is the status.
    }
    if (response.ok) return json;
    const { code = `status_${response.status}`, detail = said.slice(0, 200), retry_after_ms: retry } = json;
    const isPassing = response.status >= 500 || response.status === 429;
    throw new AccountError(String(code), String(detail), Number(retry ?? (isPassing ? UNREACHABLE_RETRY_MS : 0)));
  }
}
