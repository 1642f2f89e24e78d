// Calls the official TypeScript SDKs: cases as lines of JSON come in, one line of JSON for each goes out.
//
// Rule: what is reported is what the SDK did; whether that is right is for the test to say.
//
// A case:   {id, base_url, mode, headers?, max_retries?, signed?, deadline_s}
//           mode: create | stream | bedrock-create | bedrock-stream
// A result: {id, outcome, silent, text, blocks, events, stop_reason,
//            error_class, error_own, error_status, error_type, error_text, elapsed_ms}
//           outcome: complete | error | hang
//           silent: it ended without an error, and without message_stop or without a stop reason
//           error_own: the error is one of the SDK's own classes
import { createInterface } from "node:readline";
import Anthropic, { AnthropicError } from "@anthropic-ai/sdk";
import { AnthropicBedrock } from "@anthropic-ai/bedrock-sdk";

const AT_ONCE = Number(process.env.AT_ONCE ?? 16);

const REQUEST = {
  max_tokens: 1000,
  messages: [{ role: "user", content: "Tell me a long story." }],
};

// One client for all cases of one kind, as a service has it: connections are kept and used again.
const clients = new Map();

function clientOf(item) {
  const kind = JSON.stringify([item.base_url, item.mode.startsWith("bedrock"), item.max_retries, item.signed]);
  if (!clients.has(kind)) clients.set(kind, newClient(item));
  return clients.get(kind);
}

function newClient(item) {
  const common = { baseURL: item.base_url, logLevel: "off" };
  // Left out, it is the SDK's default.
  if (item.max_retries !== undefined) common.maxRetries = item.max_retries;
  if (!item.mode.startsWith("bedrock")) return new Anthropic({ ...common, apiKey: "test-key" });
  const credentials = item.signed
    ? { apiKey: null, awsAccessKey: "AKIAIOSFODNN7EXAMPLE", awsSecretKey: "not-a-secret" }
    : { apiKey: "test-key" };
  return new AnthropicBedrock({ ...common, ...credentials, awsRegion: "us-east-1" });
}

async function call(item, signal) {
  const model = item.mode.startsWith("bedrock") ? "anthropic.claude-sonnet-5-5" : "claude-sonnet-5-5";
  const options = { headers: item.headers ?? {}, signal };
  const messages = clientOf(item).messages;
  return item.mode.endsWith("stream")
    ? await helper(messages, model, options)
    : await iterated(messages, model, options);
}

async function helper(messages, model, options) {
  const stream = messages.stream({ ...REQUEST, model }, options);
  const message = await stream.finalMessage();
  return { content: message.content, stop_reason: message.stop_reason, stopped: true, events: null };
}

async function iterated(messages, model, options) {
  const content = [];
  const json = new Map();
  let stopReason = null;
  let stopped = false;
  let events = 0;
  for await (const event of await messages.create({ ...REQUEST, model, stream: true }, options)) {
    events += 1;
    if (event.type === "message_start") stopReason = event.message.stop_reason;
    if (event.type === "content_block_start") content[event.index] = { ...event.content_block };
    if (event.type === "content_block_delta") grow(content[event.index], event, json);
    if (event.type === "message_delta") stopReason = event.delta.stop_reason ?? stopReason;
    if (event.type === "message_stop") stopped = true;
  }
  for (const [index, text] of json) content[index].input = JSON.parse(text || "{}");
  return { content, stop_reason: stopReason, stopped, events };
}

function grow(block, event, json) {
  const delta = event.delta;
  if (delta.type === "text_delta") block.text += delta.text;
  if (delta.type === "thinking_delta") block.thinking += delta.thinking;
  if (delta.type === "signature_delta") block.signature = delta.signature;
  if (delta.type === "input_json_delta") json.set(event.index, (json.get(event.index) ?? "") + delta.partial_json);
}

function ended(seen) {
  const text = seen.content.filter((block) => block.type === "text").map((block) => block.text);
  return {
    outcome: "complete",
    silent: !seen.stopped || seen.stop_reason === null,
    text: text.join(""),
    blocks: seen.content,
    events: seen.events,
    stop_reason: seen.stop_reason,
  };
}

function failed(error) {
  return {
    outcome: "error",
    silent: false,
    error_class: error?.constructor?.name ?? typeof error,
    error_own: error instanceof AnthropicError,
    error_status: error?.status ?? null,
    error_type: error?.type ?? error?.error?.error?.type ?? null,
    error_text: String(error?.message ?? error).slice(0, 300),
  };
}

async function run(item) {
  const began = performance.now();
  const stop = new AbortController();
  let timer;
  const late = new Promise((resolve) => {
    timer = setTimeout(() => resolve({ outcome: "hang", silent: false }), item.deadline_s * 1000);
  });
  const result = await Promise.race([call(item, stop.signal).then(ended, failed), late]);
  clearTimeout(timer);
  if (result.outcome === "hang") stop.abort();
  return { id: item.id, ...result, elapsed_ms: Math.round(performance.now() - began) };
}

// An error that no caller can catch is a bug of whoever made it: it is told like a result, under its own name.
process.on("unhandledRejection", (error) => say({ id: "unhandled", ...failed(error) }));

function say(result) {
  process.stdout.write(JSON.stringify(result) + "\n");
}

const waiting = [];
for await (const line of createInterface({ input: process.stdin })) {
  if (line.trim()) waiting.push(JSON.parse(line));
}
async function worker() {
  for (let item = waiting.shift(); item !== undefined; item = waiting.shift()) say(await run(item));
}
await Promise.all(Array.from({ length: AT_ONCE }, worker));
// Kept connections would keep the process; what was said is on its way before it goes.
process.stdout.write("", () => process.exit(0));
