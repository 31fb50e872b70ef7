/**
 * Hears of events without being a listener: the first listener sets things flowing, and what has come before those that
 * it is meant for are there would be lost.
 */
export function overhear(target: EventTarget, type: string, onEvent: (event: Event) => void): void {
  const dispatchEvent = target.dispatchEvent.bind(target)
  target.dispatchEvent = event => {
    if (event.type === type) onEvent(event)
    return dispatchEvent(event)
  }
}
