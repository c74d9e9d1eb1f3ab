console.log("noise by a dependency while it is loaded");
