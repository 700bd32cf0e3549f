/** No worker at all. */
export default { type: 200 };
