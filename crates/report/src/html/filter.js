(() => {
  "use strict";
  const form = document.getElementById("filters");
  const count = document.getElementById("count");
  const cards = [...document.querySelectorAll("#questions article")].map((card) => ({
    card,
    lines: [...card.querySelectorAll("tr[data-outcome]")],
    text: [...card.querySelectorAll(".text")].map((part) => part.textContent).join("\n").toLowerCase(),
  }));

  const apply = () => {
    const wanted = Object.fromEntries(new FormData(form));
    const words = wanted.text.trim().toLowerCase();
    let shown = 0;
    for (const { card, lines, text } of cards) {
      let changed = false;
      for (const line of lines) {
        const { acceleration, outcome } = line.dataset;
        const fits = (!wanted.acceleration || acceleration === wanted.acceleration) && (wanted.outcome === "differs" || outcome === wanted.outcome);
        line.hidden = !fits;
        changed ||= fits && outcome !== "same";
      }
      const under = !wanted.condition || card.dataset.condition === wanted.condition;
      card.hidden = !changed || !under || (wanted.family !== "" && card.dataset.family !== wanted.family) || !text.includes(words);
      shown += card.hidden ? 0 : 1;
    }
    const left = count.dataset.left ? `; ${count.dataset.left} more changed and are not on this page` : "";
    count.textContent = `Showing ${shown} of ${cards.length}${left}`;
  };

  form.hidden = false;
  form.addEventListener("input", apply);
  form.addEventListener("reset", () => setTimeout(apply));
  form.addEventListener("submit", (event) => event.preventDefault());

  const choose = (choices) => {
    form.reset();
    for (const [name, value] of choices) {
      if (form.elements[name]) form.elements[name].value = value;
    }
    setTimeout(apply);
  };

  // a number leads to the questions that it counts
  document.addEventListener("click", (event) => {
    const shows = event.target.closest("a.shows");
    if (shows) choose(Object.entries(shows.dataset));
  });

  // and so does an address of another page
  const arrive = () => {
    const [place, choices] = decodeURI(location.hash).split("?");
    if (place !== "#questions" || !choices) return;
    choose(new URLSearchParams(choices));
    document.getElementById("questions").scrollIntoView();
  };
  addEventListener("hashchange", arrive);
  apply();
  arrive();

  const zoom = document.getElementById("zoom");
  document.addEventListener("click", (event) => {
    const thumbnail = event.target.closest("button.thumb");
    if (thumbnail) {
      zoom.replaceChildren(thumbnail.firstElementChild.cloneNode(true));
      zoom.showModal();
    } else if (zoom.open) {
      zoom.close();
    }
  });
})();
