// Drop zone: keeps the files in the browser, for playing, and sends each to the server under the
// name of its identifier. Triggers "songs" with [{id, name, path}] once all have arrived.
const songs = (window.hearSongs ??= new Map());
const zone = element.querySelector(".ha-drop");
const input = element.querySelector("input");
const bar = element.querySelector("progress");
const status = element.querySelector("output");
const examples = element.querySelector(".ha-examples");
let busy = false;

// A name may be written from right to left, which is not to turn what follows it.
const apart = (name) => `\u2068${name}\u2069`;
const say = (text, done, total) => {
  status.textContent = text;
  bar.hidden = total === undefined;
  if (total !== undefined) Object.assign(bar, { max: total, value: done });
};
const lock = (locked) => {
  busy = locked;
  input.disabled = locked;
  if (examples) examples.disabled = locked;
  zone.classList.toggle("busy", locked);
};

// A server that is gone tells of nothing, and one that was started again knows no page of before.
let answer;
const gone = () => {
  if (busy) say("The server is gone; when it is back, load the page again");
  lock(false);
};
setInterval(() => {
  if (busy) fetch("favicon.ico", { cache: "no-store" }).catch(gone);
}, 3000);

// Also for the other tabs, which send a song again when they need more than its scores.
window.hearSend = async (id) => {
  const { file, name } = songs.get(id);
  const { path } = await upload(new File([file], id));
  return { id, name, path };
};

const take = async (files) => {
  if (busy || !files.length) return;
  if (files.length > props.limit) {
    say(`${files.length} files: at most ${props.limit} at a time; drop fewer`);
    return;
  }
  const large = files.find((file) => file.size > props.max_mb * 1e6);
  if (large) {
    say(`${apart(large.name)} is larger than ${props.max_mb} MB; drop a shorter or compressed file`);
    return;
  }
  lock(true);
  const sent = [];
  try {
    for (const file of files) {
      say(`Sending ${apart(file.name)}`, sent.length, files.length);
      const id = crypto.randomUUID?.() ?? String(Math.random()).slice(2);
      songs.set(id, { file, name: file.name });
      sent.push(await window.hearSend(id));
    }
    say("Waiting for the server", 0, files.length);
    answer = setTimeout(gone, 20_000);
    trigger("songs", { files: sent });
  } catch (error) {
    say(`The files did not reach the server (${error.message ?? error}); drop them again`);
    lock(false);
  }
};

input.addEventListener("change", () => {
  take([...input.files]);
  input.value = "";
});
for (const kind of ["dragenter", "dragover"]) {
  zone.addEventListener(kind, (event) => {
    event.preventDefault();
    zone.classList.add("over");
  });
}
for (const kind of ["dragleave", "drop"]) {
  zone.addEventListener(kind, () => zone.classList.remove("over"));
}
zone.addEventListener("drop", (event) => {
  event.preventDefault();
  take([...event.dataTransfer.files]);
});
examples?.addEventListener("click", async () => {
  lock(true);
  say("Composing three songs");
  try {
    const made = await server.example_songs();
    lock(false);
    const decode = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
    take(made.map(({ name, flac }) => new File([decode(flac)], name, { type: "audio/flac" })));
  } catch (error) {
    say(`The songs could not be composed (${error.message ?? error})`);
    lock(false);
  }
});
watch("value", () => {
  clearTimeout(answer);
  const { text, done, total } = props.value;
  say(text, done, total ?? undefined);
  lock(total !== null);
});
