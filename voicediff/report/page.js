"use strict";
const clips = [...document.querySelectorAll(".clip")];
const audioOf = (clip) => clip.querySelector("audio");

function place(clip) {
  const svg = clip.querySelector("svg"), audio = audioOf(clip);
  if (!svg) return;
  const share = Math.min(audio.currentTime / Number(audio.dataset.seconds), 1);
  svg.querySelector(".now").setAttribute("transform", `translate(${share * Number(svg.dataset.span)} 0)`);
  clip.classList.toggle("playing", audio.currentTime > 0);
}

function follow(clip) {
  place(clip);
  if (!audioOf(clip).paused) requestAnimationFrame(() => follow(clip));
}

function jump(clip, event) {
  const svg = clip.querySelector("svg"), audio = audioOf(clip);
  const point = new DOMPoint(event.clientX, event.clientY).matrixTransform(svg.getScreenCTM().inverse());
  const share = (point.x - Number(svg.dataset.left)) / Number(svg.dataset.span);
  seek(audio, Math.min(Math.max(share, 0), 1) * Number(audio.dataset.seconds));
  audio.play();
}

/* The position can be set only after the metadata are loaded. */
function seek(audio, time) {
  if (audio.readyState > 0) { audio.currentTime = time; return; }
  audio.addEventListener("loadedmetadata", () => { audio.currentTime = time; }, { once: true });
  audio.load();
}

function choose(key) {
  for (const column of document.querySelectorAll(".sides > div")) {
    const sides = [...column.querySelectorAll(".clip")];
    const next = sides.find((clip) => clip.dataset.choice === key) || sides[0];
    const previous = sides.find((clip) => !clip.hidden);
    if (!next || next === previous) continue;
    for (const clip of sides) clip.hidden = clip !== next;
    const before = previous && audioOf(previous);
    if (!before || before.currentTime === 0) continue;
    const wasPlaying = !before.paused;
    before.pause();
    seek(audioOf(next), before.currentTime);
    if (wasPlaying) audioOf(next).play();
  }
}

for (const clip of clips) {
  const audio = audioOf(clip);
  audio.addEventListener("play", () => {
    for (const other of clips) if (other !== clip) audioOf(other).pause();
    follow(clip);
  });
  audio.addEventListener("seeked", () => place(clip));
  clip.querySelector("svg")?.addEventListener("click", (event) => jump(clip, event));
}
for (const input of document.querySelectorAll("input[name=choice]")) {
  input.addEventListener("change", () => choose(input.value));
}
/* Browsers restore the state of a form after a reload. */
const chosen = document.querySelector("input[name=choice]:checked");
if (chosen) choose(chosen.value);
