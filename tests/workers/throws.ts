throw new Error("this module throws");
export default 1;
