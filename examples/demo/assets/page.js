// The page works without this: a form posts, and the page comes back. With it the page stays where it is, and follows
// what happens elsewhere, such as a sign-out in another app.

let latest = 0

document.addEventListener('submit', (event) => {
  const form = event.target
  if (!(form instanceof HTMLFormElement) || form.dataset.stays === undefined) return
  event.preventDefault()
  void post(form)
})

/** What the reader has opened or closed, by its id. */
const toggled = new Map()

document.addEventListener('click', ({ target }) => {
  const details = target.closest('summary')?.parentElement
  if (details) toggled.set(details.id, !details.open)
})

let reload
new EventSource('/events').addEventListener('message', () => {
  clearTimeout(reload)
  reload = setTimeout(refresh, 50)
})

async function post(form) {
  const status = document.getElementById(form.dataset.stays)
  if (status) status.textContent = 'Running…'
  try {
    // The answer is a redirection to this page, which is asked for below.
    const { type } = await fetch(form.action, { method: 'POST', redirect: 'manual' })
    if (type !== 'opaqueredirect') throw new Error('The server did not send the browser on')
    await refresh()
  } catch {
    const place = status ?? document.getElementById('outcome')
    if (place) place.textContent = 'That failed. The console of the demo says why.'
  }
}

async function refresh() {
  const turn = ++latest
  const response = await fetch('/')
  const fresh = new DOMParser().parseFromString(await response.text(), 'text/html')
  // What was asked for later is newer.
  if (turn === latest) show(fresh)
}

/** Takes over what has changed. Focus, and what the reader has opened or closed, stay. */
function show(fresh) {
  const focused = document.activeElement?.id
  for (const details of fresh.querySelectorAll('details')) {
    details.open = toggled.get(details.id) ?? details.open
  }
  for (const section of document.querySelectorAll('[data-live]')) {
    const update = fresh.getElementById(section.id)
    if (update && update.innerHTML !== section.innerHTML) section.replaceChildren(...update.childNodes)
  }
  if (focused && document.activeElement?.id !== focused) document.getElementById(focused)?.focus()
}
