// A value of unknown type, as text if it is text, and as bytes.

import { make } from "./screen.js";

const SHOWN_MAX = 64 * 1024;

/** Decodes base64. */
export function bytes(base64) {
  return Uint8Array.from(atob(base64 ?? ""), (letter) => letter.charCodeAt(0));
}

/** The bytes as text, or null: UTF-8 without control characters except tabs and line ends. */
export function text(value) {
  try {
    const decoded = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(value);
    return /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f]/.test(decoded) ? null : decoded;
  } catch {
    return null;
  }
}

/** Sixteen bytes per line: offset, bytes, and printable ASCII. */
export function hex(value) {
  const lines = [];
  for (let at = 0; at < value.length; at += 16) {
    const line = [...value.subarray(at, at + 16)];
    const digits = line.map((byte) => byte.toString(16).padStart(2, "0")).join(" ");
    const letters = line.map((byte) => (byte > 31 && byte < 127 ? String.fromCharCode(byte) : "."));
    lines.push(`${at.toString(16).padStart(6, "0")}  ${digits.padEnd(47)}  ${letters.join("")}`);
  }
  return lines.join("\n");
}

/** The value as elements, with a choice between both forms. */
export function shown(value, chosen) {
  const known = text(value);
  const box = make("pre", { tabindex: "0", "aria-label": "Value" });
  const all = make("button", { type: "button" }, `Show all ${value.length} bytes`);
  let whole = value.length <= SHOWN_MAX;
  const buttons = ["text", "hex"].map((kind) =>
    make("button", { type: "button", click: () => choose(kind) }, kind === "text" ? "Text" : "Bytes"),
  );
  const draw = () => {
    const cut = whole ? value : value.subarray(0, SHOWN_MAX);
    // The cut may fall within a character, which is then left out.
    const asText = () => (whole ? known : new TextDecoder().decode(cut, { stream: true }));
    const isText = chosen.kind === "text" && known !== null;
    // Bytes are aligned in columns, so their lines do not wrap.
    box.className = isText ? "" : "columns";
    box.textContent = isText ? asText() : hex(cut);
    all.hidden = whole;
    buttons.forEach((button, at) => {
      button.setAttribute("aria-pressed", String(isText === (at === 0)));
    });
    // There is no choice if the value is not text.
    buttons[0].disabled = known === null;
  };
  const choose = (kind) => {
    chosen.kind = kind;
    draw();
  };
  all.addEventListener("click", () => {
    whole = true;
    draw();
  });
  draw();
  const note = known === null ? make("span", { class: "quiet" }, "not UTF-8 text") : null;
  const empty = value.length === 0 ? make("p", { class: "quiet" }, "The value is empty.") : null;
  return make("div", {}, make("div", { class: "bar" }, buttons, note), empty ?? box, all);
}
