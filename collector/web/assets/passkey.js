// Asks the browser for a passkey, for the one form of the page that wants one.
// Without it, or in a browser that knows none, the form stays hidden and the
// page says what else there is.
"use strict";
(() => {
  const form = document.querySelector("form[data-passkey]");
  if (!form || !window.PublicKeyCredential || !navigator.credentials) return;

  const bytes = (text) => Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), (c) => c.charCodeAt(0));
  const text = (buffer) =>
    btoa(String.fromCharCode(...new Uint8Array(buffer))).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
  const named = (list) => (list || []).map((one) => ({ ...one, id: bytes(one.id) }));

  const create = async (options) => {
    const made = await navigator.credentials.create({
      publicKey: {
        ...options,
        challenge: bytes(options.challenge),
        user: { ...options.user, id: bytes(options.user.id) },
        excludeCredentials: named(options.excludeCredentials),
      },
    });
    return {
      attestationObject: text(made.response.attestationObject),
      transports: made.response.getTransports ? made.response.getTransports() : [],
      of: made,
    };
  };

  const get = async (options) => {
    const used = await navigator.credentials.get({
      publicKey: { ...options, challenge: bytes(options.challenge), allowCredentials: named(options.allowCredentials) },
    });
    return {
      authenticatorData: text(used.response.authenticatorData),
      signature: text(used.response.signature),
      userHandle: used.response.userHandle ? text(used.response.userHandle) : undefined,
      of: used,
    };
  };

  const problem = form.querySelector("[data-problem]");
  const answer = form.elements.namedItem("answer");
  form.addEventListener("submit", async (event) => {
    if (answer.value) return;
    event.preventDefault();
    problem.textContent = "";
    try {
      const { of, ...response } = await (form.dataset.passkey === "create" ? create : get)(JSON.parse(form.dataset.options));
      answer.value = JSON.stringify({
        id: of.id,
        rawId: text(of.rawId),
        type: of.type,
        authenticatorAttachment: of.authenticatorAttachment || undefined,
        clientExtensionResults: of.getClientExtensionResults(),
        response: { ...response, clientDataJSON: text(of.response.clientDataJSON) },
      });
      form.submit();
    } catch (reason) {
      problem.textContent =
        reason && reason.name === "InvalidStateError"
          ? "This device holds a passkey of your account already."
          : "No passkey was used. Try again, or choose another way.";
    }
  });
  form.hidden = false;
  for (const other of document.querySelectorAll("[data-without-passkeys]")) other.hidden = true;
})();
