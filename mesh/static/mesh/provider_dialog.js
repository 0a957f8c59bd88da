// The dialog of the AI providers as a pure reducer (chat-ui.md §12): closed → grid → form; rename
// and delete are separate states. An event that a state does not expect changes nothing.

export const CLOSED = { step: "closed" };

/** Return the state after `event`. Events: open, choose, back, close, rename, delete, saved. */
export function reduce(state, event) {
  switch (event.type) {
    case "open":
      return state.step === "closed" ? { step: "grid" } : state;
    case "choose":
      // Picked from the grid of the empty page, the dialog opens at its form.
      return state.step === "grid" || state.step === "closed" ? { step: "form", provider: event.provider } : state;
    case "back":
      return state.step === "form" ? { step: "grid" } : state;
    case "rename":
    case "delete":
      return state.step === "closed" ? { step: event.type, key: event.key } : state;
    case "close":
    case "saved":
      return CLOSED;
    default:
      return state;
  }
}

/** Return the heading of the dialog. */
export function title({ step, provider, key }) {
  if (step === "form") return `Connect ${provider.title}`;
  if (step === "rename") return `Rename “${key.label}”`;
  if (step === "delete") return `Delete “${key.label}”?`;
  return "Add a key";
}
