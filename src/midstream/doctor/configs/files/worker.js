// A streaming endpoint in a Cloudflare Worker. It hands each event on as it comes, pings while the upstream is silent,
// answers before the upstream does where that takes long, and ends no stream cleanly that was not whole.
//
// wrangler.toml:
//   name = "streams"
//   main = "worker.js"
//   compatibility_date = "2026-01-01"
//   [limits]
//   cpu_ms = 30000        # each piece costs a little; the time that passes costs nothing
const UPSTREAM = "@@upstream@@";

// Cloudflare gives up after 100 to 120 s of silence, some clients and networks sooner.
const PING_MS = 10_000;
// Before the headers no ping helps: 200 then goes out without knowing, and an error of the upstream becomes an event.
const EARLY_MS = 20_000;
const SETTLE_MS = 250;

export default {
  async fetch(request, env = {}) {
    const from = new URL(request.url);
    const to = new URL(from.pathname + from.search, env.UPSTREAM ?? UPSTREAM);
    const pingMs = Number(env.PING_MS ?? PING_MS);
    const body = ["GET", "HEAD"].includes(request.method) ? null : await request.arrayBuffer();
    // The upstream is told when the client has left; it would work on, and be paid, for nobody.
    const leave = new AbortController();
    const headers = new Headers(request.headers);
    for (const name of ["host", "connection", "content-length"]) headers.delete(name);
    // The sentinel, below, reads text.
    headers.set("accept-encoding", "identity");
    const asked = fetch(to, { method: request.method, headers, body, signal: leave.signal, redirect: "manual" });
    asked.catch(() => {});
    if (!wantsStream(body)) return answered(asked);

    const early = await within(asked, Number(env.EARLY_MS ?? EARLY_MS));
    if (early === LATE) return streamed(lateBody(asked, leave, pingMs), 200, new Headers());
    const answer = await answered(asked);
    if (!isEvents(answer)) return answer;
    return streamed(relay(answer.body, leave, pingMs), answer.status, answer.headers);
  },
};

const LATE = Symbol("late");
const encoder = new TextEncoder();
const PING = encoder.encode('event: ping\ndata: {"type": "ping"}\n\n');

function streamed(body, status, from) {
  const headers = new Headers(from);
  for (const name of ["content-length", "content-encoding"]) headers.delete(name);
  headers.set("content-type", "text/event-stream; charset=utf-8");
  // Nobody behind may keep, change or hold it back.
  headers.set("cache-control", "no-cache, no-transform");
  headers.set("x-accel-buffering", "no");
  return new Response(body, { status, headers });
}

async function answered(asked) {
  try {
    return await asked;
  } catch {
    const error = { type: "error", error: { type: "api_error", message: "the upstream cannot be reached" } };
    return Response.json(error, { status: 502 });
  }
}

function wantsStream(body) {
  return body !== null && /"stream"\s*:\s*true/.test(new TextDecoder().decode(body));
}

function isEvents(answer) {
  return answer.ok && answer.body !== null && /text\/event-stream/i.test(answer.headers.get("content-type") ?? "");
}

// The value of a promise, or LATE. A failure is no value: whoever awaits the promise meets it.
function within(promise, ms) {
  let timer;
  const late = new Promise((resolve) => (timer = setTimeout(resolve, ms, LATE)));
  return Promise.race([promise.catch(() => null), late]).finally(() => clearTimeout(timer));
}

function errorEvent(type, message) {
  return encoder.encode(`event: error\ndata: ${JSON.stringify({ type: "error", error: { type, message } })}\n\n`);
}

// The events of the upstream, with pings between them.
function relay(upstream, leave, pingMs) {
  const reader = upstream.getReader();
  const sentinel = new Sentinel();
  let reading = null;
  return ending(leave, async () => {
    for (;;) {
      reading ??= reader.read();
      const read = await within(reading, pingMs);
      if (read === LATE) {
        // Inside of an event there is no place for another one.
        if (sentinel.between) return PING;
        continue;
      }
      reading = null;
      if (read === null) return new Error("the upstream broke off");
      if (read.done) return sentinel.ended ? null : new Error("the upstream ended the stream before message_stop");
      sentinel.see(read.value);
      return read.value;
    }
  });
}

// Pings until the upstream has answered; then its events, or its error as one.
function lateBody(asked, leave, pingMs) {
  let relayed = null;
  return ending(leave, async () => {
    if (relayed === null) {
      const answer = await within(asked, pingMs);
      if (answer === LATE) return PING;
      if (answer === null) return new Error("the upstream cannot be reached");
      if (!isEvents(answer)) return new Error(await saidBy(answer), { cause: "answered" });
      relayed = relay(answer.body, leave, pingMs).getReader();
    }
    // What breaks in there has told its error already, and breaks this, too.
    const { done, value } = await relayed.read();
    return done ? null : value;
  });
}

async function saidBy(answer) {
  const text = await answer.text().catch(() => "");
  try {
    const { error } = JSON.parse(text);
    return JSON.stringify({ type: error.type, message: error.message });
  } catch {
    return JSON.stringify({ type: "api_error", message: `the upstream answered ${answer.status}` });
  }
}

// A body of what `next` gives: bytes, null for its end, or an error. An error is told as an event, and then the body is
// broken, so that whoever trusts the transport alone does not take it for whole either.
function ending(leave, next) {
  let broken = null;
  return new ReadableStream(
    {
      async pull(controller) {
        if (broken !== null) {
          // A body that breaks takes with it what is still on its way to the client: the error event, that is.
          await new Promise((resolve) => setTimeout(resolve, SETTLE_MS));
          return controller.error(broken);
        }
        const piece = await next();
        if (piece === null) return controller.close();
        if (!(piece instanceof Error)) return controller.enqueue(piece);
        if (piece.cause === "answered") {
          const { type, message } = JSON.parse(piece.message);
          controller.enqueue(errorEvent(type, message));
          return controller.close();
        }
        broken = piece;
        leave.abort();
        controller.enqueue(errorEvent("api_error", piece.message));
      },
      cancel() {
        leave.abort();
      },
    },
    { highWaterMark: 0 },
  );
}

// Sees where events end, and whether the last one was: message_stop, or an error.
class Sentinel {
  ended = false;
  between = true;
  #line = "";
  #decoder = new TextDecoder();

  see(bytes) {
    const lines = (this.#line + this.#decoder.decode(bytes, { stream: true })).split("\n");
    // Of a line only its beginning counts.
    this.#line = lines.pop();
    for (const line of lines) this.#take(line.replace(/\r$/, ""));
    if (this.#line !== "") this.between = false;
    if (this.#line.length > 64) this.#line = this.#line.slice(0, 64);
  }

  #take(line) {
    this.between = line === "";
    if (/^event: ?(message_stop|error)$/.test(line)) this.ended = true;
  }
}
