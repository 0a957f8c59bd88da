// The settings page of AI providers: saves keys through the API, then shows the page that the
// server renders.

import { api, byId, marked, morphChildren, readable, readableText, say } from "./dom.js";
import { CLOSED, reduce, title } from "./provider_dialog.js";

const base = `/api/${location.pathname.split("/")[1]}`;
const page = byId("ai-providers");
const dialog = byId("provider-dialog");
const error = byId("provider-dialog-error");
const WAIT = 250; // milliseconds before a choice is saved

let state = CLOSED;

function go(event) {
  const before = state;
  state = reduce(state, event);
  if (state !== before) paint(before);
}

function paint(before) {
  for (const step of dialog.querySelectorAll("[data-step]")) step.hidden = step.dataset.step !== state.step;
  refuse(null);
  if (state.step === "closed") {
    dialog.close();
    return;
  }
  byId("provider-dialog-title").replaceChildren(...marked(readable(title(state))));
  if (state.step === "form") fillForm(state.provider);
  if (state.step === "rename") byId("key-rename").value = state.key.label;
  if (!dialog.open) dialog.showModal();
  const first = dialog.querySelector(`[data-step=${state.step}]`);
  first.querySelector(before.step === "form" ? "button" : "input:not([hidden]), button")?.focus();
}

function fillForm(provider) {
  const form = dialog.querySelector("[data-step=form]");
  form.reset();
  reveal(false);
  form.querySelector("[data-words]").textContent = `${provider.words}.`;
  const [address, secret] = form.querySelectorAll("[data-optional]");
  address.hidden = provider.needsAddress;
  secret.hidden = provider.needsKey;
  byId("key-address").placeholder = provider.address || "https://llm.example/v1";
  byId("key-address-hint").textContent = provider.needsAddress
    ? "The address of its API. Private addresses work only if this server's operator allows them."
    : "Only if you use a gateway.";
  const link = form.querySelector("[data-keys-page]");
  link.hidden = !provider.keysPage;
  link.href = provider.keysPage || "#";
  form.querySelector("[type=submit]").textContent = provider.needsAddress ? "Save connection" : "Save key";
}

function reveal(shown) {
  byId("key-secret").type = shown ? "text" : "password";
  const button = dialog.querySelector("[data-do=show]");
  button.textContent = shown ? "Hide" : "Show";
  button.setAttribute("aria-pressed", String(shown));
}

function refuse(refused) {
  error.hidden = !refused;
  error.textContent = refused ? `${refused.message} ${refused.hint}` : "";
}

/** Fetch the page and apply what changed; unchanged elements keep their focus. */
async function refresh() {
  const response = await fetch("?fragment", { headers: { Accept: "text/html" } });
  if (!response.ok) return location.reload();
  const fresh = document.createElement("div");
  fresh.append(document.createRange().createContextualFragment(await response.text()));
  morphChildren(page, fresh);
  for (const select of page.querySelectorAll("select")) {
    select.value = select.querySelector("option[selected]")?.value ?? "";
  }
}

async function test(id) {
  const row = page.querySelector(`[data-key="${id}"]`);
  const button = row?.querySelector("[data-do=test]");
  if (button) button.disabled = true;
  if (row) row.querySelector("[data-state]").textContent = "Testing…";
  try {
    const key = await api("POST", `${base}/ai-keys/${id}/test`, {});
    say(key.outcome === "works" ? "The key works." : `The key could not be used. ${readableText(key.said)}`);
  } catch (refused) {
    say(refused.message);
  }
  if (button) button.disabled = false;
  await refresh();
}

const submits = {
  async form(form) {
    const fields = Object.fromEntries(new FormData(form));
    const key = await api("POST", `${base}/ai-keys`, { ...fields, provider: state.provider.kind });
    form.reset(); // so that the key does not stay in the page
    go({ type: "saved" });
    await refresh();
    await test(key.id);
  },
  async rename(form) {
    await api("PATCH", `${base}/ai-keys/${state.key.id}`, { label: form.elements.label.value });
    go({ type: "saved" });
    await refresh();
  },
  async delete() {
    const { label, id } = state.key;
    await api("DELETE", `${base}/ai-keys/${id}`);
    go({ type: "saved" });
    say(`“${readableText(label)}” was deleted.`);
    await refresh();
  },
};

async function submit(event) {
  event.preventDefault();
  const button = event.target.querySelector("[type=submit]");
  button.disabled = true;
  try {
    await submits[state.step](event.target);
  } catch (refused) {
    refuse(refused);
  } finally {
    button.disabled = false;
  }
}

function providerOf({ dataset }) {
  return {
    kind: dataset.provider,
    title: dataset.title,
    words: dataset.words,
    address: dataset.address,
    keysPage: dataset.keysPage,
    needsAddress: "needsAddress" in dataset,
    needsKey: "needsKey" in dataset,
  };
}

function keyOf(node) {
  const { key: id, label } = node.closest("[data-key]").dataset;
  return { id, label };
}

function click({ target }) {
  const tile = target.closest("[data-provider]");
  if (tile) return go({ type: "choose", provider: providerOf(tile) });
  const button = target.closest("[data-do]");
  if (target === dialog) return go({ type: "close" });
  const what = button?.dataset.do;
  if (what === "add") go({ type: "open" });
  else if (what === "show") reveal(byId("key-secret").type === "password");
  else if (what === "test") test(keyOf(button).id);
  else if (what === "rename" || what === "delete") go({ type: what, key: keyOf(button) });
  else if (what) go({ type: what });
}

// Default models are saved on change

const waiting = new Map();

function choose({ target }) {
  if (!target.matches("[data-tier]")) return;
  const { tier } = target.dataset;
  clearTimeout(waiting.get(tier));
  byId("saved").textContent = "Saving…";
  waiting.set(tier, setTimeout(() => save(tier, target.value), WAIT));
}

async function save(tier, value) {
  waiting.delete(tier);
  const at = value.indexOf(" ");
  try {
    await api("PUT", `${base}/default-models/${tier}`, { keyId: value.slice(0, at), modelId: value.slice(at + 1) });
    if (!waiting.size) byId("saved").textContent = "Saved";
  } catch (refused) {
    byId("saved").textContent = `Not saved. ${refused.message}`;
    await refresh();
  }
}

page.addEventListener("click", click);
page.addEventListener("change", choose);
if (dialog) {
  dialog.addEventListener("click", click);
  dialog.addEventListener("submit", submit);
  dialog.addEventListener("cancel", (event) => {
    event.preventDefault();
    go({ type: "close" });
  });
}
