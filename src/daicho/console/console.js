// The parts of the console that live in the browser: clocks in the reader's own time zone, the
// connection's state, a transcript that stays at its end. They draw only themselves, so that rows
// which arrive later need no further script.

(() => {
  const language = () => document.documentElement.lang || "en";
  const two = (number) => String(number).padStart(2, "0");
  let skew = 0; // milliseconds by which the server's clock is ahead of this one
  const now = () => Date.now() + skew;

  const forms = {
    clock: { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" },
    minute: { month: "short", day: "numeric", hour: "2-digit", minute: "2-digit", hourCycle: "h23" },
    full: { dateStyle: "full", timeStyle: "long" },
  };
  const formatters = new Map();
  const format = (form, date) => {
    const options = { ...forms[form] };
    if (form === "minute" && date.getFullYear() !== new Date().getFullYear()) options.year = "numeric";
    const name = form + language() + Boolean(options.year);
    if (!formatters.has(name)) formatters.set(name, new Intl.DateTimeFormat(language(), options));
    return formatters.get(name).format(date);
  };

  const define = (name, kind) => customElements.get(name) || customElements.define(name, kind);

  // <local-time at="2026-11-21T08:18:22Z" form="clock|minute|full">
  define("local-time", class extends HTMLElement {
    static observedAttributes = ["at", "form"];
    attributeChangedCallback() { this.draw(); }
    connectedCallback() { this.draw(); }
    draw() {
      const date = new Date(this.getAttribute("at"));
      if (Number.isNaN(date.getTime())) return void (this.textContent = "");
      this.textContent = format(this.getAttribute("form") || "minute", date);
      this.title = format("full", date);
    }
  });

  // <elapsed-time since="…" until="…">; without `until` it runs.
  const running = new Set();
  define("elapsed-time", class extends HTMLElement {
    static observedAttributes = ["since", "until"];
    attributeChangedCallback() { this.draw(); }
    connectedCallback() { running.add(this); this.draw(); }
    disconnectedCallback() { running.delete(this); }
    draw() {
      const until = this.getAttribute("until");
      const end = until ? new Date(until).getTime() : now();
      const seconds = Math.max(0, Math.floor((end - new Date(this.getAttribute("since")).getTime()) / 1000));
      if (Number.isNaN(seconds)) return;
      const days = Math.floor(seconds / 86400), hours = Math.floor(seconds / 3600) % 24;
      const minutes = Math.floor(seconds / 60) % 60;
      const clock = `${two(minutes)}:${two(seconds % 60)}`;
      const text = days ? `${days}d ${two(hours)}:${clock}` : hours ? `${hours}:${clock}` : clock.replace(/^0/, "");
      if (this.textContent !== text) this.textContent = text;
    }
  });
  setInterval(() => running.forEach((clock) => clock.hasAttribute("until") || clock.draw()), 1000);

  // <link-state now="…" up="Live" down="Reconnecting">: whether the page still hears from the server.
  define("link-state", class extends HTMLElement {
    connectedCallback() {
      const ahead = new Date(this.getAttribute("now")).getTime() - Date.now();
      // Up to a day: whoever is further off has set the clock so.
      if (Math.abs(ahead) > 2000 && Math.abs(ahead) < 86400000) skew = ahead;
      this.look();
    }
    disconnectedCallback() { clearTimeout(this.watch); }
    look() {
      this.draw();
      this.watch = setTimeout(() => this.look(), this.tried ? 500 : 50);
    }
    draw() {
      const up = Boolean(window.socket?.connected);
      this.tried ||= up;
      const state = up ? "up" : this.tried ? "down" : "new";
      if (this.dataset.state === state) return;
      this.dataset.state = state;
      this.textContent = state === "down" ? this.getAttribute("down") : this.getAttribute("up");
    }
  });

  // <stick-to-end show="17"> holds one list. It follows the list's end while the reader is there, keeps
  // the reader's place otherwise, and then offers the sibling `.d-new-lines` as the way to the end.
  define("stick-to-end", class extends HTMLElement {
    connectedCallback() {
      this.atEnd = true;
      this.addEventListener("scroll", () => this.look(), { passive: true });
      this.observer = new MutationObserver(() => this.settle());
      // Vue inserts the children first and this element last.
      requestAnimationFrame(() => this.begin());
    }
    disconnectedCallback() { this.observer.disconnect(); this.sizes?.disconnect(); }
    begin() {
      this.list = this.querySelector(".d-lines");
      if (!this.list) return;
      this.observer.observe(this.list, { childList: true });
      this.sizes = new ResizeObserver(() => this.atEnd && this.toEnd());
      this.sizes.observe(this);
      this.offer = this.parentElement.querySelector(".d-new-lines");
      this.offer?.addEventListener("click", () => this.toEnd("smooth"));
      this.last = this.list.lastElementChild;
      const wanted = this.getAttribute("show");
      const line = wanted && this.list.querySelector(`[data-line="${CSS.escape(wanted)}"]`);
      if (line) {
        line.classList.add("d-shown");
        line.scrollIntoView({ block: "center" });
        this.look();
      } else {
        this.toEnd();
      }
    }
    toEnd(behavior = "instant") { this.scrollTo({ top: this.scrollHeight, behavior }); }
    look() {
      if (!this.list) return;
      this.atEnd = this.scrollHeight - this.scrollTop - this.clientHeight < 48;
      if (this.atEnd) this.offer?.removeAttribute("data-on");
      // The first line in sight is the reader's place.
      const lines = this.list.children;
      let low = 0, high = lines.length;
      while (low < high) {
        const middle = (low + high) >> 1;
        if (lines[middle].offsetTop + lines[middle].offsetHeight > this.scrollTop) high = middle;
        else low = middle + 1;
      }
      this.anchor = lines[low];
      this.offset = this.anchor ? this.anchor.offsetTop - this.scrollTop : 0;
    }
    settle() {
      const grown = this.list.lastElementChild !== this.last;
      this.last = this.list.lastElementChild;
      if (grown && this.atEnd) return this.toEnd();
      if (this.anchor?.isConnected) this.scrollTop = this.anchor.offsetTop - this.offset;
      if (grown) this.offer?.setAttribute("data-on", "");
    }
  });

  const remember = (name, value) => {
    document.cookie = `${name}=${encodeURIComponent(value)};path=/;max-age=31536000;samesite=lax`;
  };
  window.daicho = {
    speak(language) { remember("daicho_lang", language); location.reload(); },
    // Calls `emit` when typing pauses; never in the middle of composing Japanese.
    typed(event, emit, wait = 250) {
      const field = event.target;
      clearTimeout(field.waiting);
      if (event.isComposing) return;
      field.waiting = setTimeout(() => emit(field.value), wait);
    },
  };

  // Dates in the address are days of the reader's own zone: the server learns it from this cookie.
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC";
  const known = document.cookie.split("; ").includes(`daicho_zone=${encodeURIComponent(zone)}`);
  if (!known) {
    remember("daicho_zone", zone);
    const dated = /[?&](from|to)=/.test(location.search);
    if (dated && document.cookie.includes("daicho_zone=")) location.reload();
  }
})();
