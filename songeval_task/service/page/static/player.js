// Players of the songs in this component: the browser plays its own copy of a file, a cursor shows
// where, a click on a curve goes there, and of several players one plays at a time.
const songs = (window.hearSongs ??= new Map());

const attach = (audio) => {
  const kept = songs.get(audio.dataset.song);
  if (!kept || audio.src) return;
  kept.url ??= URL.createObjectURL(kept.file);
  audio.src = kept.url;
  const section = audio.closest("[data-player], .ha-song");
  const fault = section.querySelector(".ha-fault");
  audio.addEventListener("error", () => {
    fault.textContent = "This browser cannot play files of this kind; the scores are right.";
  });
  audio.addEventListener("play", () => {
    for (const other of document.querySelectorAll("audio")) if (other !== audio) other.pause();
    level();
    requestAnimationFrame(follow);
  });
  const tracks = section.querySelector(".ha-tracks");
  const place = () => {
    const at = audio.currentTime / Number(tracks.dataset.seconds);
    tracks.style.setProperty("--at", Math.min(Math.max(at, 0), 1));
  };
  const follow = () => {
    if (!tracks) return;
    place();
    if (!audio.paused) requestAnimationFrame(follow);
  };
  if (!tracks) return;
  place();
  for (const kind of ["seeked", "timeupdate"]) audio.addEventListener(kind, place);
  for (const plot of tracks.querySelectorAll(".ha-plot")) {
    plot.addEventListener("click", (event) => {
      const { left, width } = plot.getBoundingClientRect();
      audio.currentTime = ((event.clientX - left) / width) * Number(tracks.dataset.seconds);
    });
  }
};

// Equal loudness: the louder songs are turned down to the quietest.
const level = () => {
  const box = element.querySelector(".ha-equal input");
  for (const audio of element.querySelectorAll("audio")) {
    audio.volume = box?.checked ? Number(audio.dataset.gain ?? 1) : 1;
  }
};

const all = () => {
  element.querySelectorAll("audio").forEach(attach);
  element.querySelector(".ha-equal input")?.addEventListener("change", level);
  element.querySelector(".ha-swap")?.addEventListener("click", () => {
    const [a, b] = element.querySelectorAll("audio");
    const [from, to] = a.paused ? [b, a] : [a, b];
    to.currentTime = Math.min(from.currentTime, to.duration || 0);
    to.play();
  });
  level();
};
watch("value", all);
all();
