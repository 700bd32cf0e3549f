/**
 * The words that the search compares.
 *
 * @module
 */

/**
 * What a word is compared as: nothing for words that say nothing, several for a word that has another name here.
 *
 * VitePress sends the text of this function to the page: it may use nothing from outside of itself.
 */
export function termsOf(word: string): string | string[] | null {
  const empty =
    " a about all an and any are as at be been before but by can cannot could did do does for from get gets getting had has have how i if in is it its let like made make me my need needs no not of on or our out over should so some than that the their them then there these they this those to up use used using want was way we were what when where which who why will with without would you your ";
  const names: Record<string, string[]> = {
    acknowledgement: ["acknowledgement", "answer", "reply"],
    acknowledgements: ["acknowledgement", "answer", "reply"],
    ack: ["ack", "answer", "reply"],
    backpressure: ["back", "pressure"],
    bufferedamount: ["buffered", "back", "pressure"],
    disconnect: ["disconnect", "cut", "end"],
    drain: ["drain", "close"],
    econnrefused: ["connection", "refused"],
    emit: ["emit", "send"],
    jwt: ["jwt", "token", "authenticate"],
    keepalive: ["keepalive", "heartbeat"],
    lb: ["load", "balancer"],
    namespace: ["namespace", "groups"],
    payload: ["payload", "message"],
    prometheus: ["prometheus", "metric"],
    pubsub: ["publish", "subscribe", "broadcast"],
    room: ["room", "group"],
    rooms: ["room", "group"],
    rpc: ["rpc", "request", "contract"],
    ssl: ["ssl", "tls"],
    timeout: ["timeout", "time", "out"],
    timeouts: ["timeout", "time", "out"],
    wss: ["wss", "websocket", "tls"],
  };
  const term = word.toLowerCase().replace(/['’]s$/, "");
  if (empty.includes(` ${term} `)) return null;
  if (Object.hasOwn(names, term)) return names[term];
  // A plural is found as its singular.
  return term.length > 4 ? term.replace(/ies$/, "y").replace(/([^s])s$/, "$1") : term;
}
