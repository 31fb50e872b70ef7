/**
 * An exception that nobody caught ends the process, unless it is the network's own: what strangers send may find a fault in
 * libp2p, and answers must go on without it. Whose it is shows in the places of its stack; one without any ends the process.
 */
import { join, sep } from 'node:path'
import { fileURLToPath } from 'node:url'

const ROOT = join(import.meta.dirname, '..', sep)
const LIBRARIES = /\/node_modules\/(?:libp2p|@libp2p|@chainsafe|@multiformats)\//
/** The end of a line of a stack. */
const PLACE = /(?:\(|at )(?:async )?((?:file:\/\/)?\/.*):\d+:\d+\)?$/

/** From now on `onNetwork` is told of the network's faults; all others end the process as they would have, in `err`. */
export function handleFaults(onNetwork: (fault: unknown) => void, err: { write(text: string): unknown }): Disposable {
  const onFault = (fault: unknown) => {
    if (isOfNetwork(fault)) return onNetwork(fault)
    err.write(`qis-sidecar: ${fault instanceof Error ? fault.stack : fault}\n`)
    process.exit(1)
  }
  process.on('uncaughtException', onFault)
  return {
    [Symbol.dispose]() {
      process.off('uncaughtException', onFault)
    },
  }
}

/** Whether it came about in libp2p, or in what lies between it and the router, with nothing else of ours on the way. */
export function isOfNetwork(fault: unknown, root = ROOT): boolean {
  if (!(fault instanceof Error)) return false
  const places = (fault.stack ?? '').split('\n').flatMap(line => PLACE.exec(line)?.[1] ?? [])
  const files = places.map(place => (place.startsWith('file:') ? fileURLToPath(place) : place))
  // where it is installed, the root itself lies in such a folder
  const ours = files.filter(file => file.startsWith(root) && !file.slice(root.length).includes('node_modules/'))
  return (
    ours.every(file => file.startsWith(join(root, 'router', 'network', sep))) &&
    (ours.length > 0 || files.some(file => LIBRARIES.test(file)))
  )
}
