/* Shows how far the sending is, and names a file that is too large before it is sent. Without this the form works too. */
"use strict";

function begin(form) {
  const most = Number(form.dataset.mostBytes);
  const trouble = form.querySelector("[data-trouble]");
  const progress = form.querySelector("[data-progress]");
  const bar = progress.querySelector("progress");
  const words = progress.querySelector("[data-words]");
  const button = form.querySelector("button");

  const chosen = () => [...form.querySelectorAll("input[type=file]")].flatMap((input) => [...input.files]);

  function refuse(sentence) {
    trouble.textContent = sentence;
    trouble.hidden = !sentence;
    progress.hidden = true;
    button.disabled = false;
    if (sentence) trouble.scrollIntoView({ block: "center" });
  }

  function problem(files) {
    if (!files.length && !("complete" in form.dataset)) return "No file was chosen. Choose a photo or a PDF, then press Send.";
    const large = files.find((file) => file.size > most);
    if (large) return `${large.name} is larger than ${most / 1048576} MB. Take a new photo, or save it smaller.`;
    const empty = files.find((file) => file.size === 0);
    return empty ? `${empty.name} is empty. Choose another file.` : "";
  }

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const files = chosen();
    const sentence = problem(files);
    refuse(sentence);
    if (sentence) return;
    button.disabled = true;
    progress.hidden = false;
    const request = new XMLHttpRequest();
    request.open("POST", location.href);
    request.upload.addEventListener("progress", (now) => {
      if (!now.lengthComputable) return;
      bar.value = (100 * now.loaded) / now.total;
      words.textContent =
        now.loaded < now.total ? `Sending: ${Math.round(bar.value)} %` : "Sent. The files are being looked at…";
    });
    request.addEventListener("load", () => show(request));
    for (const kind of ["error", "abort", "timeout"]) {
      request.addEventListener(kind, () => refuse("The connection broke. Nothing is lost: press Send again."));
    }
    request.send(new FormData(form));

    function show(done) {
      const page = new DOMParser().parseFromString(done.responseText, "text/html");
      const main = page.querySelector("main");
      if (!main) {
        refuse("The page does not answer as it should. Wait a minute, then press Send again.");
        return;
      }
      document.title = page.title;
      document.querySelector("main").replaceWith(document.adoptNode(main));
      const next = document.querySelector("form[data-upload]");
      if (next) begin(next);
      scrollTo(0, 0);
      document.querySelector("main").focus();
    }
  });
}

const form = document.querySelector("form[data-upload]");
if (form) begin(form);
