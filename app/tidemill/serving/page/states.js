// How far runs are, in words.

// Write a run's state, which a colour supports.
export function label(node, { state, cancelling }) {
  const text = cancelling && state === "running" ? "cancelling" : state;
  if (node.textContent !== text) node.textContent = text;
  node.dataset.state = state;
}

export const percentOf = ({ progress }) => `${Math.floor(progress * 100)}%`;
