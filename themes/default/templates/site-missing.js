
// Versions of a share come and go; its link stays. From a page of a version that is gone readers come to the share.
const link = /^(.*\/s\/[0-9a-f]{32}\/)[^/]+\//.exec(location.pathname);
if (link) location.replace(link[1] + location.hash);
